"""Go back to a checkpoint before a failure; continue with other draws and lower learning rates."""

import json
import logging

from gancli.artifacts import checkpoint
from gancli.artifacts.run_folder import RunFolder, step_of
from gancli.errors import TrainingDiverged, TrainingFailed, UsageError
from gancli.machine.distributed import Group
from gancli.runs import resume
from gancli.runs.prepare import Prepared, after_rollbacks
from gancli.runs.result import diagnosis_command
from gancli.training.records import tolerated

log = logging.getLogger(__name__)
MAX_ROLLBACKS = 3
"""Rollbacks per run; the next failure ends it."""


def check(on_failure: str, group: Group) -> None:
    """UsageError for rollback in several processes, which would have to agree on it."""
    if on_failure == "rollback" and group.world > 1:
        raise UsageError("--on-failure rollback is for a single process; use stop under torchrun.")


def rolled_back(prepared: Prepared, folder: RunFolder, failure: TrainingFailed | TrainingDiverged) -> Prepared:
    """The run at its newest checkpoint before the failure, or at its start if there is none.

    Deletes later checkpoints, since they show the failure. Raises ``failure`` again, with the command that
    diagnoses the run, if ``--on-failure`` is not rollback, or after `MAX_ROLLBACKS`.
    """
    count = prepared.step.state.rollbacks + 1
    config = prepared.resolved.config
    if config.on_failure != "rollback" or count > MAX_ROLLBACKS:
        failure.args = (f"{failure} See its course with: {diagnosis_command(folder)}", *failure.args[1:])
        raise failure
    healthy = [path for path in folder.checkpoints() if step_of(path) < getattr(failure, "since", float("inf"))]
    newest = checkpoint.newest_sound(healthy)
    fresh = after_rollbacks(prepared, count)
    resume.begin(fresh, newest)
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
