"""Load a generator, and draw images from it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from gancli import config, recipes
from gancli.artifacts import checkpoint, network_file
from gancli.artifacts.network_file import NetworkFile, Origin
from gancli.config.sample_command import MAX_IMAGES
from gancli.errors import FileFormatError, UsageError, nearest
from gancli.machine import devices
from gancli.recipes.base import Recipe
from gancli.sampling.drawing import ROWS, batch_size_for, draw_latents
from gancli.sampling.selection import Selection

MAX_DIGITS = 20
"""Digits of an image's number, so that it can be written and read anywhere."""


@dataclass(frozen=True)
class LoadedGenerator:
    """A generator on its device."""

    network: nn.Module
    latent_dim: int
    classes: tuple[str, ...]
    """Classes that labels can name; empty for an unconditional generator."""
    file: NetworkFile

    @cached_property
    def identity(self) -> str:
        """See `network_file.identity`."""
        return network_file.identity(self.file.origin, self.file.weights)


def load_generator(path: Path, device: torch.device) -> LoadedGenerator:
    """Load a generator file, or the averaged generator of a checkpoint (``.pt``).

    Raises:
        FileFormatError: the file cannot be used.
    """
    return build_generator(read_generator(path), device)


def read_generator(path: Path) -> NetworkFile:
    """The content of a generator file, or the averaged generator of a checkpoint, without its network."""
    return generator_of(checkpoint.load(path)) if path.suffix == ".pt" else network_file.load(path, "generator")


def generator_of(saved: checkpoint.Checkpoint) -> NetworkFile:
    """The averaged generator of a checkpoint; FileFormatError if it has none."""
    weights = saved.state.get("ema")
    if not isinstance(weights, Mapping) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise FileFormatError(f"{saved.path} has no averaged generator.")
    return NetworkFile("generator", saved.origin, saved.step, saved.images_seen, weights)


def build_generator(file: NetworkFile, device: torch.device) -> LoadedGenerator:
    """Build the network of a file; FileFormatError if that is impossible."""
    recipe = recipe_of(file.origin)
    try:
        with torch.device("meta"):  # takes no memory if the file claims a huge size
            outline, _ = recipe.networks(file.origin.spec)
        network_file.require_fit(outline, file.weights, file.role)
        network, _ = recipe.networks(file.origin.spec)
    except (ArithmeticError, IndexError, KeyError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        raise FileFormatError(f"the file describes no network that can be built ({type(error).__name__}).") from error
    network_file.load_weights(network, file.weights, file.role)
    devices.place(network.eval().requires_grad_(False), device)
    return LoadedGenerator(network, recipe.latent_dim, file.origin.classes if recipe.conditional else (), file)


def recipe_of(origin: Origin) -> Recipe:
    """The recipe with a file's hyperparameters; FileFormatError if it is unknown."""
    try:
        cls = recipes.find(origin.recipe)
        return config.build(cls, origin.hyperparameters, f"recipe {origin.recipe}")
    except UsageError as error:
        raise FileFormatError(f"the file needs a recipe that this gancli does not have: {error}") from error


def draw(
    generator: LoadedGenerator,
    numbers: Sequence[int],
    seed: int = 0,
    labels: Sequence[int] | None = None,
    batch_size: int | None = None,
    truncation: float | None = None,
    frames: int = 1,
) -> Iterator[Tensor]:
    """Yield batches of images, uint8 ``(n, C, H, W)`` on the CPU, in the order of ``numbers``.

    A generator of points yields coordinates, float32 ``(n, 2, 1, 1)``.

    Args:
        generator: The generator.
        numbers: Numbers of the images.
        seed: Seed of their latents.
        labels: Class indices, one per number; None draws each class in turn.
        batch_size: Images per forward pass; see `rows_of`.
        truncation: Bound of the latents' values; None: no bound.
        frames: Images on the way from each number to the next; see `Selection`.
    """
    selection = Selection(numbers, seed, labels, truncation, frames)
    rows = rows_of(generator, batch_size)
    for start in range(0, selection.count, rows):
        places = range(start, min(start + rows, selection.count))
        latents = selection.latents(generator.latent_dim, places)
        part_labels = selection.labels_at(places, len(generator.classes))
        yield draw_latents(generator.network, latents, part_labels, generator.file.origin.spec.point_scale)


def rows_of(generator: LoadedGenerator, batch_size: int | None) -> int:
    """Images per forward pass: ``batch_size`` rounded up to a multiple of `ROWS`; None: by image size."""
    spec = generator.file.origin.spec
    return batch_size_for(spec.height, spec.width) if batch_size is None else -(-batch_size // ROWS) * ROWS


def labels_of(generator: LoadedGenerator, names: Sequence[str], count: int) -> list[int]:
    """``count`` labels of the named classes in turn; UsageError for a class that the generator does not have."""
    known = generator.classes
    if not known:
        raise UsageError("this generator draws no class on demand; remove --classes.")
    for name in names:
        if name not in known:
            quoted = [f'"{each}"' if "," in each else each for each in known]  # as --classes takes them
            raise UsageError(f"--classes: the generator has no class {name!r}; {nearest(name, quoted)}")
    return [known.index(names[i % len(names)]) for i in range(count)]


def parse_numbers(text: str, most: int = MAX_IMAGES) -> list[int]:
    """``"0-7,12"`` -> [0, 1, ..., 7, 12]; UsageError for anything else, and for more than ``most`` numbers."""
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not _is_number(first) or (dash and not _is_number(last)) or (dash and int(last) < int(first)):
            raise UsageError(f"--seeds {text!r}: {part.strip()!r} is neither a number nor a range like 0-7.")
        numbers += range(int(first), min(int(last if dash else first), int(first) + most) + 1)
        if len(numbers) > most:
            raise UsageError(f"--seeds {text!r} asks for more than {most:,} images; draw them in parts.")
    return numbers


def _is_number(text: str) -> bool:
    return text.isdecimal() and len(text) <= MAX_DIGITS
