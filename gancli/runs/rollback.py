"""Go back to a checkpoint from before a failure, and on with other draws and lower learning rates."""

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
MAX_ROLLBACKS = 3
"""Of a run; the next failure ends it."""


def check(on_failure: str, group: Group) -> None:
    """UsageError for a rollback in several processes, which would have to agree on it."""
    if on_failure == "rollback" and group.world > 1:
        raise UsageError("--on-failure rollback is for a single process; use stop under torchrun.")


def rolled_back(prepared: Prepared, folder: RunFolder, failure: TrainingFailed | TrainingDiverged) -> Prepared:
    """The run at its newest checkpoint from before a failure, or at its start if there is none.

    Later checkpoints are deleted, since they show the failure. Raises ``failure`` again if the run has rolled back as
    often as it may, or was not told to.
    """
    count = prepared.step.state.rollbacks + 1
    if prepared.config.on_failure != "rollback" or count > MAX_ROLLBACKS:
        raise failure
    healthy = [path for path in folder.checkpoints() if step_of(path) < getattr(failure, "since", float("inf"))]
    found = checkpoint.newest_sound(healthy)
    fresh = after_rollbacks(prepared, count)
    resume.begin(fresh.step.state, found, prepared.config)
    fresh.step.state.rollbacks = count
    step = fresh.step.state.step
    for path in folder.checkpoints():
        if step_of(path) > step:
            path.unlink()
    line = {"step": step, "rollback": {"number": count, "from_step": prepared.step.state.step, "why": str(failure)}}
    with tolerated(f"A line of {folder.metrics}"), folder.metrics.open("a") as file:
        file.write(json.dumps(line) + "\n")
    why = f" {failure}" if isinstance(failure, TrainingDiverged) else ""  # alarms are logged already
    changes = f"other draws, learning rates times {0.5**count:g}"
    log.warning("rollback %d of %d to step %d: %s.%s", count, MAX_ROLLBACKS, step, changes, why)
    return fresh
