"""Going on: with a run that stopped (``--resume``), or from another run's weights (``--init-from``)."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gancli import config as configuration
from gancli import recipes
from gancli.artifacts import checkpoint, network_file, run_folder
from gancli.artifacts.checkpoint import Checkpoint
from gancli.artifacts.network_file import Origin, load_weights
from gancli.artifacts.run_folder import RunFolder
from gancli.config import RESUME_FIXED, TrainConfig
from gancli.errors import FileFormatError, UsageError
from gancli.steps.state import TrainState

log = logging.getLogger(__name__)
CONFIGURED = tuple(name for name in RESUME_FIXED if name not in ("data", "recipe", "hyperparameters"))
"""Fields of the configuration that no resumed run may change, and that its networks' origin does not tell."""


def folder_of(resume: str | Path, out: Path | None) -> RunFolder:
    """The run that ``--resume`` means: ``latest`` of those in ``out``, a run's folder, or one checkpoint in it.

    UsageError if there is none, or if it lies elsewhere than in ``out``, where there is one.
    """
    path = Path(resume)
    if resume != "latest" and path.is_file():
        if path.suffix == ".pth":
            raise UsageError(
                f"--resume {resume}: a network file does not hold all of a run; give --resume the run's folder, or "
                "start a new run with --init-from."
            )
        run_folder.step_of(path)
        folder = RunFolder(path.absolute().parent.parent)
    else:
        folder = run_folder.newest(out or Path(TrainConfig().out)) if resume == "latest" else RunFolder(path)
    if not folder.config.is_file():
        raise UsageError(f"--resume {resume}: {folder.path} is not the folder of a run (it has no config.toml).")
    if out is not None and folder.path.resolve().parent != out.resolve():
        raise UsageError(f"--resume {resume} goes on in its own folder; leave --out {out} away.")
    return folder


def checkpoint_of(resume: str | Path, folder: RunFolder) -> Checkpoint | None:
    """The checkpoint that is meant, else the run's newest that can be read.

    None for a run that was stopped before its first one; it starts anew, with the same draws.
    """
    path = Path(resume)
    if resume != "latest" and path.is_file():
        return checkpoint.load(path)
    found = checkpoint.newest_sound(folder.checkpoints())
    if found is None and folder.checkpoints():
        raise UsageError(f"--resume {resume}: no checkpoint of {folder.path} can be read.")
    return found


def merged_config(folder: RunFolder, settings: Sequence[str], flags: Mapping[str, Any]) -> TrainConfig:
    """The run's own configuration with the flags over it; UsageError for a flag that would make it another run."""
    own = _own_config(folder)
    if own.recipe == recipes.AUTO:
        raise UsageError(f"{folder.config} is not as the run wrote it: it names no recipe.")
    file = configuration.load_toml(folder.config)
    merged = configuration.build(TrainConfig, configuration.merge(file, settings, flags), "the command line")
    for name in (*RESUME_FIXED, "name", "out"):
        before, after = getattr(own, name), getattr(merged, name)
        if name == "data" and Path(after).exists() and folder.checkpoints():
            continue  # they may have moved; `require_same_run` knows them
        if name == "hyperparameters":
            before, after = _difference(own, merged)
        if before != after:
            raise UsageError(
                f"--resume: {name} of {folder.path} is {before}, not {after}; resume without it, or start a new run."
            )
    return merged


def _own_config(folder: RunFolder) -> TrainConfig:
    return configuration.build(TrainConfig, configuration.load_toml(folder.config), str(folder.config))


def warn_of_other_arithmetic(folder: RunFolder, after: TrainConfig) -> None:
    """Say which choices, of those that results depend on bit for bit, are no longer what the run's file says."""
    before = _own_config(folder)
    for name in ("device", "precision", "threads", "matmul", "compile", "accumulate"):
        if (was := getattr(before, name)) != (now := getattr(after, name)):
            log.warning("%s was %s and is now %s: the run goes on, but not bit for bit.", name, was, now)


def _difference(own: TrainConfig, merged: TrainConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    """The hyperparameters that differ, in both."""
    cls = recipes.find(own.recipe)
    full = [asdict(configuration.build(cls, c.hyperparameters, own.recipe)) for c in (own, merged)]
    changed = [name for name in full[0] if full[0][name] != full[1][name]]
    return {name: full[0][name] for name in changed}, {name: full[1][name] for name in changed}


def require_same_run(found: Checkpoint, origin: Origin, config: TrainConfig) -> None:
    """UsageError that names what differs between a checkpoint and the run that would go on from it.

    The data may have moved, if they are the same.
    """
    defaults = asdict(recipes.find(found.origin.recipe)()) if found.older else {}
    compared: list[tuple[str, Any, Any]] = [("recipe", found.origin.recipe, origin.recipe)]
    compared += [("hyperparameters", defaults | dict(found.origin.hyperparameters), origin.hyperparameters)]
    compared += [("shape of the data", found.origin.spec, origin.spec)]
    compared += [("the data have changed (fingerprint)", found.origin.fingerprint, origin.fingerprint)]
    compared += [(name, before, getattr(config, name)) for name, before in found.fixed.items() if name in CONFIGURED]
    for what, before, after in compared:
        if before != after:
            before, after = _short(before, after), _short(after, before)
            raise UsageError(
                f"{found.path} cannot be resumed: {what} was {before} and is now {after}. Undo that, or start a new "
                "run, which takes these weights with --init-from."
            )
    if found.older:
        log.warning("%s is of an older gancli: the run goes on, but perhaps not bit for bit.", found.path)


def fixed_of(config: TrainConfig) -> dict[str, Any]:
    """What a checkpoint must tell of a resolved configuration beyond the origin of its networks."""
    return {name: getattr(config, name) for name in CONFIGURED}


def _short(value: Any, other: Any) -> Any:
    """Of two tables, what differs."""
    if not isinstance(value, Mapping) or not isinstance(other, Mapping):
        return value
    return {name: value.get(name) for name in value if name not in other or value[name] != other[name]}


def begin(state: TrainState, found: Checkpoint | None, config: TrainConfig) -> None:
    """Set the state to where a checkpoint was, or without one to what ``init_from`` says, if anything."""
    if found is not None:
        checkpoint.restore(state, found)
    elif config.init_from:
        _warm_start(state, Path(config.init_from), config.freeze_d)


def _warm_start(state: TrainState, source: Path, freeze_d: int) -> None:
    """Take G, its average and, where there is one, D from a run, a checkpoint or a generator file.

    UsageError where layers of D are frozen and there is none to take them from.
    """
    if source.suffix == ".pth":
        file = network_file.load(source, "generator")
        g, ema, d, origin = file.weights, file.weights, _discriminator_beside(source), file.origin
    else:
        found = checkpoint.newest_sound(RunFolder(source).checkpoints()) if source.is_dir() else checkpoint.load(source)
        if found is None:
            raise UsageError(f"--init-from {source}: there is no checkpoint in it that can be read.")
        (g, ema, d), origin = (found.state[name] for name in ("g", "ema", "d")), found.origin
    if d is None and freeze_d:
        raise UsageError(f"--freeze-d {freeze_d} needs the discriminator, and there is no dis.pth beside {source}.")
    try:
        load_weights(state.g, g, "generator")
        load_weights(state.ema, ema, "generator")
        if d is not None:
            load_weights(state.d, d, "discriminator")
    except FileFormatError as error:
        held = f"{origin.recipe} for {' x '.join(map(str, origin.spec.shape))}"
        held += f" and {len(origin.classes)} classes" if origin.classes else ""
        raise FileFormatError(f"--init-from {source} holds {held}: {error}") from error


def _discriminator_beside(generator: Path) -> Mapping[str, Any] | None:
    path = generator.with_name("dis.pth")
    if not path.is_file():
        log.warning("--init-from: there is no dis.pth beside %s; the discriminator starts anew.", generator)
        return None
    return network_file.load(path, "discriminator").weights
