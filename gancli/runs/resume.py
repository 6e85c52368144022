"""Go on with a run that stopped (``--resume``), or from another run's weights (``--init-from``)."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gancli import config as configuration
from gancli import recipes
from gancli.artifacts import checkpoint, run_folder
from gancli.artifacts.checkpoint import Checkpoint
from gancli.artifacts.network_file import Origin
from gancli.artifacts.run_folder import RunFolder
from gancli.config import RESUME_FIXED, TrainConfig
from gancli.errors import UsageError
from gancli.machine.distributed import Group
from gancli.runs import shared_autoencoder
from gancli.runs.prepare import Prepared, after_rollbacks
from gancli.runs.warm_start import warm_start

log = logging.getLogger(__name__)
CONFIGURED = tuple(name for name in RESUME_FIXED if name not in ("data", "recipe", "hyperparameters"))
"""Settings that a resumed run cannot change and that are not part of its networks' origin."""


@dataclass(frozen=True)
class Resumed:
    """A run to resume."""

    folder: RunFolder
    checkpoint: Checkpoint | None
    """None if the run stopped before its first checkpoint; it starts again with the same draws."""
    own: TrainConfig
    """The run's own configuration."""
    asked: TrainConfig
    """The same, overridden by flags."""


def read(resume: str | Path, folder: RunFolder, settings: Sequence[str], flags: Mapping[str, Any]) -> Resumed:
    """Read the run to resume; UsageError for a flag that would make it another run."""
    loaded = checkpoint_of(resume, folder)
    file = configuration.load_toml(folder.config)
    own = configuration.build(TrainConfig, file, str(folder.config))
    if own.recipe == recipes.AUTO:
        raise UsageError(f"{folder.config} is not as the run wrote it: it names no recipe.")
    asked = configuration.build(TrainConfig, configuration.merge(file, settings, flags), "the command line")
    if asked.time is not None:
        raise UsageError("--time is for a new run; a run that goes on is made longer with --steps or --epochs.")
    _require_same_settings(folder, own, asked)
    return Resumed(folder, loaded, own, asked)


def auto(out: Path, group: Group) -> str | None:
    """``latest`` if a process sees a run under ``out``, else None; all agree before the first one makes a folder."""
    return "latest" if group.agree(int(run_folder.has_run(out))) else None


def folder_of(resume: str | Path, out: Path | None) -> RunFolder:
    """The folder of the run that ``--resume`` names: ``latest`` in ``out``, a run's folder or number, or a checkpoint.

    UsageError if there is none, or if it does not lie in ``out``, where that is given.
    """
    runs = out or Path(TrainConfig().out)
    path = run_folder.by_number(Path(resume), runs)
    if resume != "latest" and path.is_file():
        if path.suffix == ".pth":
            raise UsageError(
                f"--resume {resume}: a network file does not hold all of a run; give --resume the run's folder, or "
                "start a new run with --init-from."
            )
        run_folder.step_of(path)
        folder = RunFolder(path.absolute().parent.parent)
    else:
        folder = run_folder.newest(runs) if resume == "latest" else RunFolder(path)
    if not folder.config.is_file():
        raise UsageError(f"--resume {resume}: {folder.path} is not the folder of a run (it has no config.toml).")
    if out is not None and folder.path.resolve().parent != out.resolve():
        raise UsageError(f"--resume {resume} goes on in its own folder; remove --out {out}.")
    return folder


def checkpoint_of(resume: str | Path, folder: RunFolder) -> Checkpoint | None:
    """The checkpoint that ``resume`` names, else the run's newest readable one.

    None if the run stopped before its first checkpoint.
    """
    path = Path(resume)
    if resume != "latest" and path.is_file():
        return checkpoint.load(path)
    newest = checkpoint.newest_sound(folder.checkpoints())
    if newest is None and folder.checkpoints():
        raise UsageError(f"--resume {resume}: no checkpoint of {folder.path} can be read.")
    return newest


def _require_same_settings(folder: RunFolder, own: TrainConfig, asked: TrainConfig) -> None:
    for name in (*RESUME_FIXED, "name", "out"):
        before, after = getattr(own, name), getattr(asked, name)
        if name == "data" and Path(after).exists() and folder.checkpoints():
            continue  # moved data are allowed; `require_same_run` compares their fingerprint
        if name == "hyperparameters":
            before, after = _difference(own, asked)
        if before != after:
            raise UsageError(
                f"--resume: {name} of {folder.path} is {before}, not {after}; resume without it, or start a new run."
            )


def warn_of_other_arithmetic(before: TrainConfig, after: TrainConfig) -> None:
    """Warn of changed settings that affect rounding."""
    for name in ("device", "precision", "threads", "matmul", "compile", "accumulate"):
        if (was := getattr(before, name)) != (now := getattr(after, name)):
            log.warning("%s was %s and is now %s: the run goes on, but not bit for bit.", name, was, now)


def _difference(own: TrainConfig, merged: TrainConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    """The hyperparameters that differ, with their values in both."""
    cls = recipes.find(own.recipe)
    before, after = (configuration.build(cls, c.hyperparameters, own.recipe) for c in (own, merged))
    return before.changes_from(after), after.changes_from(before)


def require_same_run(loaded: Checkpoint, origin: Origin, config: TrainConfig) -> None:
    """UsageError if the checkpoint belongs to another run than this one; data may have moved."""
    saved = loaded.origin
    defaults = asdict(recipes.find(saved.recipe)())  # of hyperparameters that are newer than the checkpoint
    compared: list[tuple[str, Any, Any]] = [("recipe", saved.recipe, origin.recipe)]
    own = configuration.current_names(recipes.find(saved.recipe), saved.hyperparameters)
    compared += [("hyperparameters", defaults | own, origin.hyperparameters)]
    compared += [("shape of the data", saved.spec, origin.spec)]
    compared += [("the data have changed (fingerprint)", saved.fingerprint, origin.fingerprint)]
    compared += [(name, before, getattr(config, name)) for name, before in loaded.fixed.items() if name in CONFIGURED]
    for what, before, after in compared:
        if before != after:
            before, after = _short(before, after), _short(after, before)
            raise UsageError(
                f"{loaded.path} cannot be resumed: {what} was {before} and is now {after}. Undo that, or start a new "
                "run, which takes these weights with --init-from."
            )
    if loaded.older:
        log.warning("%s is of an older gancli: the run goes on, but perhaps not bit for bit.", loaded.path)


def fixed_of(config: TrainConfig) -> dict[str, Any]:
    """The settings that a checkpoint records besides the origin of its networks."""
    return {name: getattr(config, name) for name in CONFIGURED}


def _short(value: Any, other: Any) -> Any:
    """The part of a table that differs from the other table; other values unchanged."""
    if not isinstance(value, Mapping) or not isinstance(other, Mapping):
        return value
    return {name: value.get(name) for name in value if name not in other or value[name] != other[name]}


def start(prepared: Prepared, resumed: Resumed | None) -> Prepared:
    """Load the weights that a run starts from: a checkpoint, those of ``--init-from``, or none.

    UsageError if the checkpoint belongs to another run, or has more steps than are asked for.
    """
    config = prepared.resolved.config
    if resumed is None:
        begin(prepared, None)
        return prepared
    leads, loaded = prepared.resolved.group.leads, resumed.checkpoint
    if leads:
        warn_of_other_arithmetic(resumed.own, config)
    if loaded is None:
        begin(prepared, None)
        log.info("%s has no checkpoint yet; it starts at step 0, with the same draws", resumed.folder.path)
    else:
        if rollbacks := loaded.state.get("rollbacks", 0):
            prepared = after_rollbacks(prepared, rollbacks)
        require_same_run(loaded, prepared.origin, config)
        begin(prepared, loaded)
        _tell_where(loaded, prepared)
    if leads:
        run_folder.go_on_from(resumed.folder, prepared.step.state.step)
    return prepared


def _tell_where(loaded: Checkpoint, prepared: Prepared) -> None:
    done, total = prepared.step.state.step, prepared.resolved.plan.total_steps
    log.info("resuming %s after step %d", loaded.path.parent.parent, done)
    if done > total:
        raise UsageError(
            f"{loaded.path} has done {done} steps, more than the {total} that --steps or "
            "--epochs ask for; give more, or resume an earlier checkpoint."
        )
    if done == total:
        log.warning("this run is complete; give more --steps or --epochs to go on.")


def begin(prepared: Prepared, loaded: Checkpoint | None) -> None:
    """Restore a checkpoint into the state; without one, load the weights of another run that is named, if any."""
    config, state = prepared.resolved.config, prepared.step.state
    if loaded is not None:
        checkpoint.restore(state, loaded)
    elif config.autoencoder:
        shared_autoencoder.load_into(state, config)
    elif config.init_from:
        warm_start(prepared)
