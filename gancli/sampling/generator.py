"""Load a generator, and draw images from it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gancli import config, recipes
from gancli.artifacts import checkpoint, network_file
from gancli.artifacts.network_file import NetworkFile, Origin
from gancli.config.sample_command import MAX_IMAGES
from gancli.data.conditions import Conditions, Label, choices_of, default_labels
from gancli.errors import FileFormatError, UsageError, in_a_list, nearest
from gancli.machine import devices
from gancli.randomness import numbered_latents
from gancli.recipes.base import Recipe
from gancli.sampling.drawing import ROWS, batch_size_for, draw_latents
from gancli.sampling.selection import Selection
from gancli.sampling.styles import has_styles, mean_styles, mixtures, truncated

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
    conditions: Conditions | None = None
    """Conditions that it draws by, in place of classes."""

    @property
    def choices(self) -> Sequence[Label]:
        """Labels that images have in turn; empty if unconditional. See `choices_of`."""
        return choices_of(self.classes, self.conditions)

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Least and largest value that training pictures had of each condition, by name; empty without conditions."""
        return {} if self.conditions is None else self.conditions.ranges

    @cached_property
    def identity(self) -> str:
        """See `network_file.identity`."""
        return network_file.identity(self.file.origin, self.file.weights)

    @cached_property
    def mean_styles(self) -> Tensor:
        """See `styles.mean_styles`."""
        return mean_styles(self.network, self.latent_dim, self.choices)


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
    classes, conditions = (file.origin.classes, file.origin.conditions) if recipe.conditional else ((), None)
    return LoadedGenerator(network, recipe.latent_values(file.origin.spec), classes, file, conditions)


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
    labels: Sequence[Label] | None = None,
    batch_size: int | None = None,
    truncation: float | None = None,
    frames: int = 1,
    places: range | None = None,
) -> Iterator[Tensor]:
    """Yield batches of images, uint8 ``(n, C, H, W)`` on the CPU, in the order of ``numbers``.

    A generator of points yields coordinates, float32 ``(n, 2, 1, 1)``.

    Args:
        generator: The generator.
        numbers: Numbers of the images.
        seed: Seed of their latents.
        labels: Classes or standardised conditions, one per number; None draws each choice in turn.
        batch_size: Images per forward pass; see `rows_of`.
        truncation: See `Selection`; None: no truncation.
        frames: Images on the way from each number to the next; see `Selection`.
        places: Which of the frames; None: all.
    """
    selection = Selection(numbers, seed, labels, truncation, frames)
    rows = rows_of(generator, batch_size)
    wanted = range(selection.count) if places is None else places
    for start in range(0, len(wanted), rows):
        part = wanted[start : start + rows]
        latents, shares = latents_of(generator, selection, part)
        part_labels = selection.labels_at(part, generator.choices)
        scale = generator.file.origin.spec.point_scale
        yield draw_latents(generator.network, latents, part_labels, scale, truncating(generator, shares))


def latents_of(generator: LoadedGenerator, selection: Selection, places: range) -> tuple[Tensor, Tensor]:
    """Latents ``(n, latent_dim)`` of images, and the share ``(n,)`` of the way that their styles keep from the mean.

    A generator without styles has truncated latents, and shares of 1.
    """
    share = selection.truncation if has_styles(generator.network) else None
    if share is not None:
        selection = replace(selection, truncation=None)
    return selection.latents(generator.latent_dim, places), torch.full((len(places),), 1.0 if share is None else share)


def truncating(generator: LoadedGenerator, shares: Tensor) -> Callable[[Tensor, Tensor | None], Tensor] | None:
    """The generator with the styles of its first images truncated to these shares; None if all are 1."""
    if bool((shares == 1).all()):
        return None
    network: Any = generator.network

    def draw_truncated(latents: Tensor, labels: Tensor | None) -> Tensor:
        filled = torch.cat([shares, torch.ones(len(latents) - len(shares))]).to(latents.device)
        styles = truncated(network.mapping(latents, labels), labels, generator.mean_styles, filled)
        return network.synthesis(styles, latents)

    return draw_truncated


def draw_mixed(
    generator: LoadedGenerator,
    pair: Sequence[int],
    seed: int = 0,
    labels: Sequence[Label] | None = None,
    truncation: float | None = None,
) -> Iterator[Tensor]:
    """Yield batches of the `mixtures` of two numbered images, with the noise of the first; arguments as for `draw`.

    Raises:
        UsageError: the generator has no styles.
    """
    network: Any = generator.network
    if not has_styles(network):
        raise UsageError("this generator has no styles to mix; remove --mix.")
    device = next(network.parameters()).device
    chosen = default_labels(pair, generator.choices) if labels is None else labels
    latents = numbered_latents(seed, pair, generator.latent_dim)
    with torch.inference_mode():
        of_pair = None if chosen is None else torch.tensor(chosen, device=device)
        styles = network.mapping(latents.to(device), of_pair)
        if truncation is not None:
            styles = truncated(styles, of_pair, generator.mean_styles, torch.full((2,), truncation, device=device))
        mixed = mixtures(styles)
    for part in mixed.split(ROWS):

        def synthesis(filled: Tensor, _: Tensor | None, part: Tensor = part) -> Tensor:
            return network.synthesis(torch.cat([part, part[:1].expand(len(filled) - len(part), -1, -1)]), filled)

        yield draw_latents(network, latents[:1].expand(len(part), -1), None, through=synthesis)


def rows_of(generator: LoadedGenerator, batch_size: int | None) -> int:
    """Images per forward pass: ``batch_size`` rounded up to a multiple of `ROWS`; None: by image size."""
    spec = generator.file.origin.spec
    return batch_size_for(spec.height, spec.width) if batch_size is None else -(-batch_size // ROWS) * ROWS


def labels_of(generator: LoadedGenerator, names: Sequence[str], count: int) -> list[Label]:
    """``count`` labels of the named classes in turn; UsageError for a class that the generator does not have."""
    known = generator.classes
    if generator.conditions is not None:
        asked = f"{generator.conditions.names[0]}=NUMBER"
        raise UsageError(f"this generator draws by conditions, not by class; ask with --condition {asked}.")
    if not known:
        raise UsageError("this generator draws no class on demand; remove the class.")
    for name in names:
        if name not in known:
            several = " (repeat --class for several)" if "," in name else ""
            allowed = nearest(name, map(in_a_list, known))
            raise UsageError(f"the generator has no class {name!r}{several}; {allowed}")
    return [known.index(names[i % len(names)]) for i in range(count)]


def parse_numbers(text: str, most: int = MAX_IMAGES) -> list[int]:
    """``"0-7,12"`` -> [0, 1, ..., 7, 12]; UsageError for anything else, and for more than ``most`` numbers."""
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not is_number(first) or (dash and not is_number(last)) or (dash and int(last) < int(first)):
            raise UsageError(f"--seeds {text!r}: {part.strip()!r} is neither a number nor a range like 0-7.")
        numbers += range(int(first), min(int(last if dash else first), int(first) + most) + 1)
        if len(numbers) > most:
            raise UsageError(f"--seeds {text!r} asks for more than {most:,} images; draw them in parts.")
    return numbers


def is_number(text: str) -> bool:
    """True if the text is the number of an image."""
    return text.isdecimal() and len(text) <= MAX_DIGITS
