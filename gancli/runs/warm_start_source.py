"""Read the source of ``--init-from``: a run, a checkpoint or a generator file, and the labels that it knows."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor

from gancli.artifacts import checkpoint, network_file
from gancli.artifacts.network_file import Origin
from gancli.artifacts.run_folder import RunFolder
from gancli.data.conditions import Conditions
from gancli.errors import UsageError, in_a_list
from gancli.recipes.base import Recipe
from gancli.sampling.generator import recipe_of

log = logging.getLogger(__name__)
MAX_NAMES = 5
"""Classes or conditions that a message lists."""


@dataclass(frozen=True)
class Known:
    """The names of what the labels of networks can ask for."""

    names: tuple[str, ...] = ()
    kind: Literal["classes", "conditions"] = "classes"

    def __str__(self) -> str:
        return listed(self.names)


def known(recipe: Recipe, classes: tuple[str, ...], conditions: Conditions | None) -> Known:
    """The classes or conditions that networks of the recipe take; none if it draws without."""
    if not recipe.conditional:
        return Known()
    return Known(classes) if conditions is None else Known(conditions.names, "conditions")


@dataclass(frozen=True)
class Source:
    """The source of ``--init-from``: a run, a checkpoint or a generator file."""

    path: Path
    origin: Origin
    recipe: Recipe
    g: Mapping[str, Tensor]
    ema: Mapping[str, Tensor]
    d: Mapping[str, Tensor] | None
    """None if there is no ``dis.pth`` beside a generator file."""

    @property
    def known(self) -> Known:
        """The classes or conditions that its networks know."""
        return known(self.recipe, self.origin.classes, self.origin.conditions)


def read(path: Path) -> Source:
    """Read the source; UsageError if a run has neither a sound checkpoint nor a generator."""
    if path.is_dir():
        run = RunFolder(path)
        newest = checkpoint.newest_sound(run.checkpoints())
        if newest is not None:
            return _of_checkpoint(path, newest)
        if not run.generator.is_file():
            raise UsageError(f"--init-from {path}: there is neither a checkpoint that can be read nor a gen.pth in it.")
        path = run.generator
    if path.suffix != ".pth":
        return _of_checkpoint(path, checkpoint.load(path))
    file = network_file.load(path, "generator")
    d = _discriminator_beside(path)
    return Source(path, file.origin, recipe_of(file.origin), file.weights, file.weights, d)


def _of_checkpoint(path: Path, saved: checkpoint.Checkpoint) -> Source:
    g, ema, d = (saved.state[name] for name in ("g", "ema", "d"))
    return Source(path, saved.origin, recipe_of(saved.origin), g, ema, d)


def _discriminator_beside(generator: Path) -> Mapping[str, Tensor] | None:
    path = generator.with_name("dis.pth")
    if not path.is_file():
        log.warning("--init-from: there is no dis.pth beside %s; the discriminator starts anew.", generator)
        return None
    return network_file.load(path, "discriminator").weights


def listed(names: Sequence[str]) -> str:
    """``cat, dog and bird``, or the first ones and how many more there are."""
    shown = [
        *map(in_a_list, names[:MAX_NAMES]),
        *([f"{len(names) - MAX_NAMES} more"] if len(names) > MAX_NAMES else []),
    ]
    return " and ".join(filter(None, (", ".join(shown[:-1]), *shown[-1:])))
