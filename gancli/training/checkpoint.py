"""Checkpoints: everything a run needs to go on, bit for bit, from the step it was written at."""

import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gancli import torch_file
from gancli.errors import FileFormatError, UsageError
from gancli.network_file import NetworkFile, Origin, origin_of
from gancli.run_folder import RunFolder
from gancli.training.state import TrainState

log = logging.getLogger(__name__)
KIND = "gancli-checkpoint"
VERSION = 2


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as read from its file."""

    path: Path
    origin: Origin
    images_seen: int
    state: dict[str, Any]

    @property
    def step(self) -> int:
        """Steps done when it was written."""
        return self.state["step"]


def save(path: Path, state: TrainState, origin: Origin, images_seen: int) -> None:
    """Write the state in one step."""
    plain_origin = asdict(origin) | {"classes": list(origin.classes)}
    content = {"origin": plain_origin, "images_seen": images_seen, "state": state.state_dict()}
    torch_file.save(path, KIND, VERSION, content)


def load(path: Path) -> Checkpoint:
    """Read a checkpoint; FileFormatError if it is missing, damaged or foreign."""
    content = torch_file.load(path, KIND, VERSION)
    try:
        found = Checkpoint(path, origin_of(content["origin"]), content["images_seen"], content["state"])
        if not isinstance(found.step, int):
            raise TypeError("its step is not a number")
        return found
    except (KeyError, TypeError, ValueError) as error:
        one_line = " ".join(str(error).split())
        raise FileFormatError(f"{path} lacks a part that a {KIND} file must have: {one_line}.") from error


def newest_sound(paths: Iterable[Path]) -> Checkpoint | None:
    """The last of these files that can be read, stepping back over damaged ones with a warning."""
    for path in reversed(list(paths)):
        try:
            return load(path)
        except FileFormatError as error:
            log.warning("%s Going back to the checkpoint before it.", error)
    return None


def restore(state: TrainState, checkpoint: Checkpoint) -> None:
    """Put a checkpoint's state into a freshly created one; UsageError if it is another network's."""
    try:
        state.load_state_dict(checkpoint.state)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        first = str(error).splitlines()[-1].strip()
        raise UsageError(f"{checkpoint.path} does not fit the run's networks: {first}") from error


def network_files(state: TrainState, origin: Origin, images_seen: int) -> tuple[NetworkFile, NetworkFile]:
    """The averaged generator and the discriminator as files that need nothing else."""
    return (
        NetworkFile("generator", origin, state.step, images_seen, state.ema.state_dict()),
        NetworkFile("discriminator", origin, state.step, images_seen, state.d.state_dict()),
    )


def remove_old(folder: RunFolder, keep: int, best_step: int | None) -> None:
    """Delete all but the newest ``keep`` checkpoints and the best."""
    for path in folder.checkpoints()[:-keep]:
        if path != (best_step is not None and folder.checkpoint(best_step)):
            path.unlink(missing_ok=True)
