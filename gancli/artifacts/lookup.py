"""Find the run or generator for ``runs/0003-digits``, ``runs/0003``, ``gen.pth``, ``latest`` or ``best``.

``latest`` is the newest run under ``runs``; ``best`` its best generator. ``DIR/latest`` and ``DIR/best`` look in
another folder, and ``RUN/best`` in one run. ``DIR/0003`` is the run of this number, and ``0003`` that under ``runs``.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

from gancli.artifacts import run_folder
from gancli.artifacts.run_folder import RunFolder
from gancli.errors import UsageError

log = logging.getLogger(__name__)
RUNS = Path("runs")
"""Default folder of runs, also for ``--out``."""
LATEST, BEST = "latest", "best"


def run_called(name: str | Path, flag: str = "") -> RunFolder:
    """Find a run by its folder, a file in it, or ``latest``; UsageError, naming ``flag``, if there is none."""
    path = run_folder.by_number(Path(name), RUNS)
    if path.name in (LATEST, BEST) and not path.exists():
        return _newest(path)
    if path.is_file():
        path = path.absolute().parent
        path = path.parent if path.name == "checkpoints" else path
    if not path.is_dir():
        raise UsageError(f"{flag} {name}: there is no such run; give a run's folder, or latest.".lstrip())
    return RunFolder(path)


def generator_called(name: str | Path) -> Path:
    """Find a generator's file: ``gen.pth``, ``best.pth`` or a checkpoint; UsageError if a run has none.

    A path that is neither a folder nor ends in ``latest`` or ``best`` is returned unchanged.
    """
    path = run_folder.by_number(Path(name), RUNS)
    is_best = path.name == BEST and not path.exists()
    if not is_best and not path.is_dir() and (path.name != LATEST or path.exists()):
        return path
    run = run_called(path)
    return _best_of(run) if is_best else _last_of(run)


def start_called(name: str, out: Path) -> Path:
    """Find the run, checkpoint or generator file that ``--init-from`` names; UsageError if there is none.

    ``latest`` and ``best`` without a folder look in ``out``. For ``best``, the checkpoint is preferred to ``best.pth``,
    because it also has the discriminator.
    """
    path = run_folder.by_number(Path(name), out)
    if path.exists():
        return path
    if path.name not in (LATEST, BEST):
        raise UsageError(f"--init-from {name}: there is no such run or file; give a run's folder, a file, or latest.")
    run = _newest(path, out)
    return run.path if path.name == LATEST else _best_checkpoint(run) or _best_of(run)


def _newest(path: Path, runs: Path = RUNS) -> RunFolder:
    """The newest run in the folder of ``DIR/latest`` or ``DIR/best``, or the run itself in ``RUN/best``."""
    if path.parent == Path():
        return run_folder.newest(runs)
    run = RunFolder(run_folder.by_number(path.parent, runs))
    return run if run.config.is_file() else run_folder.newest(path.parent)


def _last_of(run: RunFolder) -> Path:
    """The ``gen.pth`` if the run is finished, otherwise its newest checkpoint; UsageError if there is neither."""
    if run.generator.is_file():
        return run.generator
    checkpoints = run.checkpoints()
    if not checkpoints:
        raise UsageError(f"{run.path} has neither a gen.pth nor a checkpoint; give the folder of a run, or a file.")
    log.warning("%s has no gen.pth yet; %s is used.", run.path, checkpoints[-1].name)
    return checkpoints[-1]


def _best_of(run: RunFolder) -> Path:
    """``best.pth``, or the best checkpoint if an older gancli wrote the run; UsageError if there is neither."""
    path = run.best_generator if run.best_generator.is_file() else _best_checkpoint(run)
    if path is None:
        raise UsageError(f"{run.path} has no best checkpoint, since it was not evaluated; use latest, or --eval-every.")
    return path


def _best_checkpoint(run: RunFolder) -> Path | None:
    from gancli.artifacts import checkpoint  # torch; a shell that completes a line cannot wait for it

    newest = checkpoint.newest_sound(run.checkpoints())
    best = {} if newest is None else newest.state.get("best")
    path = run.checkpoint(best["step"]) if isinstance(best, Mapping) and "step" in best else None
    return path if path and path.is_file() else None
