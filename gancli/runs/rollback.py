"""Back to a checkpoint from before a failure, to go on with other draws and lower learning rates."""

import json
import logging

from gancli.artifacts import checkpoint
from gancli.artifacts.run_folder import RunFolder, step_of
from gancli.errors import TrainingDiverged, TrainingFailed, UsageError
from gancli.machine.distributed import Group
from gancli.runs import resume
from gancli.runs.prepare import Prepared, after_rollbacks
from gancli.training.records import tolerated

log = logging.getLogger(__name__)
MOST = 3
"""Rollbacks of a run; then it ends with what it failed with."""


def check(on_failure: str, group: Group) -> None:
    """UsageError where a rollback could not be agreed upon."""
    if on_failure == "rollback" and group.world > 1:
        raise UsageError("--on-failure rollback is for a single process; use stop under torchrun.")


def rolled_back(
    prepared: Prepared, folder: RunFolder, group: Group, failure: TrainingFailed | TrainingDiverged
) -> Prepared:
    """What to go on with after a failure: the newest checkpoint from before it, or the start if there is none.

    The checkpoints after it are deleted, since they show the failure. Raises ``failure`` again if the run has rolled
    back as often as it may, or was not told to.
    """
    count = prepared.step.state.rollbacks + 1
    if prepared.config.on_failure != "rollback" or count > MOST:
        raise failure
    healthy = [path for path in folder.checkpoints() if step_of(path) < getattr(failure, "since", float("inf"))]
    found = checkpoint.newest_sound(healthy)
    fresh = after_rollbacks(prepared, count, group)
    resume.begin(fresh.step.state, found, prepared.config)
    fresh.step.state.rollbacks = count
    step = fresh.step.state.step
    for path in folder.checkpoints():
        if step_of(path) > step:
            path.unlink()
    line = {"step": step, "rollback": {"number": count, "from_step": prepared.step.state.step, "why": str(failure)}}
    with tolerated(f"A line of {folder.metrics}"), folder.metrics.open("a") as file:
        file.write(json.dumps(line) + "\n")
    why = f" {failure}" if isinstance(failure, TrainingDiverged) else ""  # others were told when they were seen
    changes = f"other draws, learning rates times {0.5**count:g}"
    log.warning("rollback %d of %d to step %d: %s.%s", count, MOST, step, changes, why)
    return fresh
