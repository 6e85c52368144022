"""What will be drawn, checked before the first image."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from gancli.errors import UsageError
from gancli.machine import devices
from gancli.sampling.generator import MOST_IMAGES, draw, labels_of, load_generator, parse_numbers


@dataclass(frozen=True)
class Drawing:
    """What will be drawn."""

    batches: Iterator[Tensor]
    """See `sampling.draw`."""
    numbers: Sequence[int]
    """Of the images, or of an interpolation's frames from 0 on."""
    columns: int | None
    """Of a grid in which each class, or each way from one image to the next, has a place of its own."""


def plan_sample(
    ckpt: str | Path,
    *,
    n: int,
    seed: int,
    seeds: str | Sequence[int] | None,
    classes: Sequence[str] | None,
    trunc: float | None,
    interpolate: int | None,
    device: str,
    batch_size: int | None,
) -> Drawing:
    """Like `sample`, one batch at a time, with what is known before the first."""
    given = {"--n": n, "--batch-size": batch_size, "--trunc": trunc, "--interpolate": interpolate, "--seed": seed + 1}
    for flag, value in given.items():
        if value is not None and not 0 < value < float("inf"):
            raise UsageError(f"{flag} must be {'at least 0' if flag == '--seed' else 'a number, more than 0'}.")
    frames = interpolate or 1
    if isinstance(seeds, str):
        numbers: Sequence[int] = parse_numbers(seeds)
    else:
        numbers = range(n) if seeds is None else seeds
    if len(numbers) * frames > MOST_IMAGES:
        raise UsageError(f"more than {MOST_IMAGES:,} images are asked for; draw them in parts, with --seeds.")
    generator = load_generator(Path(ckpt), devices.select(device))
    labels = None if classes is None else labels_of(generator, classes, len(numbers))
    batches = draw(generator, numbers, seed, labels, batch_size, trunc, frames)
    if interpolate:
        return Drawing(batches, range(len(numbers) * frames), frames)
    turns = len(classes) if classes else len(generator.classes)
    return Drawing(batches, numbers, _columns(len(numbers), turns))


def _columns(count: int, turns: int) -> int | None:
    """The multiple of ``turns``, as images of so many classes take turns, that makes a grid most nearly square."""
    return turns * max(1, round(math.sqrt(count) / turns)) if 1 < turns <= count else None
