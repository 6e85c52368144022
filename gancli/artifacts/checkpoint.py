"""Checkpoints: the complete state of a run, for a bitwise exact resume."""

import contextlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gancli.artifacts.network_file import NetworkFile, Origin, origin_of, require_present_points
from gancli.artifacts.run_folder import CHECKPOINT, RunFolder, step_of
from gancli.artifacts.verify_state import require_loadable
from gancli.errors import FileFormatError, UsageError
from gancli.files import torch_file
from gancli.steps.state import TrainState

log = logging.getLogger(__name__)
KIND = "gancli-checkpoint"
VERSION = 4
"""Format version. It also rises when older files remain readable but would give other results."""
POINTS_CHANGED = 3
"""First version with the present networks for points. In version 2, DCGAN's G also drew new images for its step."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as read from its file."""

    path: Path
    origin: Origin
    images_seen: int
    state: dict[str, Any]
    fixed: Mapping[str, Any]
    """Settings that a resumed run cannot change."""
    older: bool = False
    """True if an older version of gancli wrote it."""

    @property
    def step(self) -> int:
        """Steps done when it was written."""
        return self.state["step"]


def save(
    path: Path, state: TrainState, origin: Origin, images_seen: int, fixed: Mapping[str, Any] = MappingProxyType({})
) -> None:
    """Write a checkpoint atomically; ``fixed`` holds the settings that a resumed run cannot change."""
    content = {"origin": origin.as_dict(), "images_seen": images_seen, "fixed": fixed, "state": state.state_dict()}
    torch_file.save(path, KIND, VERSION, content)


def load(path: Path) -> Checkpoint:
    """Read a checkpoint; FileFormatError if it is missing, damaged or foreign."""
    content = torch_file.load(path, KIND, VERSION, oldest=2)
    try:
        origin, state, fixed = origin_of(content["origin"]), content["state"], content.get("fixed", {})
        if not isinstance(state, Mapping) or not isinstance(fixed, Mapping):
            raise TypeError("its state and what is fixed must be tables")
        for number in (content["images_seen"], state["step"], state.get("rollbacks", 0)):
            if type(number) is not int or number < 0:
                raise ValueError("its counters must be whole numbers")
        if CHECKPOINT.fullmatch(path.name) and step_of(path) != state["step"]:
            raise ValueError(f"it is of step {state['step']}, as its name is not")
        require_present_points(path, origin, content["version"] < POINTS_CHANGED)
        older = content["version"] < VERSION
        return Checkpoint(path, origin, content["images_seen"], {"rollbacks": 0} | dict(state), fixed, older)
    except (KeyError, TypeError, ValueError) as error:
        one_line = " ".join(str(error).split())
        raise FileFormatError(f"{path} lacks a part that a {KIND} file must have: {one_line}.") from error


def newest_sound(paths: Iterable[Path]) -> Checkpoint | None:
    """The last of these files that can be read, or None; warns of each damaged file."""
    for path in reversed(list(paths)):
        try:
            return load(path)
        except FileFormatError as error:
            log.warning("%s Going back to the checkpoint before it.", error)
    return None


def restore(state: TrainState, checkpoint: Checkpoint) -> None:
    """Load a checkpoint into a new state; UsageError if it does not fit."""
    try:
        require_loadable(state, checkpoint.state)
    except FileFormatError as error:
        raise UsageError(f"{checkpoint.path} cannot be resumed: {error}") from error
    state.load_state_dict(checkpoint.state)


def network_files(state: TrainState, origin: Origin, images_seen: int) -> tuple[NetworkFile, NetworkFile]:
    """The averaged generator and the discriminator as self-contained files."""
    return (
        NetworkFile("generator", origin, state.step, images_seen, state.ema.state_dict()),
        NetworkFile("discriminator", origin, state.step, images_seen, state.d.state_dict()),
    )


def generator_file(checkpoint: Checkpoint) -> NetworkFile:
    """The averaged generator that a checkpoint holds."""
    return NetworkFile("generator", checkpoint.origin, checkpoint.step, checkpoint.images_seen, checkpoint.state["ema"])


def remove_old(folder: RunFolder, keep: int, best_step: int | None, sick_since: int | None = None) -> None:
    """Delete old checkpoints.

    Keeps the newest ``keep``, the best, and the newest one before ``sick_since``, the step at which the GAN began to
    fail. Ignores files that cannot be deleted.
    """
    checkpoints = folder.checkpoints()
    spared = checkpoints[-keep:]
    if best_step is not None:
        spared.append(folder.checkpoint(best_step))
    if sick_since is not None:
        spared += [path for path in checkpoints if step_of(path) < sick_since][-1:]
    for path in checkpoints:
        if path not in spared:
            with contextlib.suppress(OSError):
                path.unlink()
