"""What will be drawn, checked before the first image."""

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from gancli.artifacts.lookup import generator_called
from gancli.config.sample_command import MAX_IMAGES, Sampling
from gancli.errors import UsageError
from gancli.machine import devices
from gancli.sampling.generator import LoadedGenerator, draw, labels_of, load_generator, parse_numbers
from gancli.sampling.mark import Mark, mark_of


@dataclass(frozen=True)
class Drawing:
    """What will be drawn."""

    batches: Iterator[Tensor]
    """See `sampling.draw`."""
    numbers: Sequence[int]
    """Of the images, or of an interpolation's frames from 0 on."""
    columns: int | None
    """Of a grid in which each class, or each way from one image to the next, has a place of its own."""
    mark: Mark
    """What a picture of all of them says of itself."""


def plan_sample(told: Sampling) -> Drawing:
    """Like `gancli.sample`, one batch at a time, with what is known before the first."""
    return plan_drawing(told, lambda: load_generator(generator_called(told.ckpt), devices.select(told.device)))


def plan_drawing(told: Sampling, load: Callable[[], LoadedGenerator]) -> Drawing:
    """The same with a generator that ``load`` gives, once the numbers of the images are found to be sound."""
    frames = told.interpolate or 1
    numbers = range(told.n) if told.seeds is None else told.seeds
    if isinstance(numbers, str):
        numbers = parse_numbers(numbers)
    if len(numbers) * frames > MAX_IMAGES:
        raise UsageError(f"more than {MAX_IMAGES:,} images are asked for; draw them in parts, with --seeds.")
    classes = names_in(told.classes) if isinstance(told.classes, str) else told.classes
    generator = load()
    labels = None if classes is None else labels_of(generator, classes, len(numbers))
    batches = draw(generator, numbers, told.seed, labels, told.batch_size, told.trunc, frames)
    turns = len(classes) if classes else len(generator.classes)
    columns = frames if told.interpolate else _columns(len(numbers), turns)
    mark = mark_of(
        generator.identity, generator.file.origin.recipe, generator.classes, numbers, labels,
        seed=told.seed, truncation=told.trunc, frames=frames, columns=columns,
    )  # fmt: skip
    return Drawing(batches, range(len(numbers) * frames) if told.interpolate else numbers, columns, mark)


def names_in(text: str) -> list[str]:
    """``3,7`` -> 3 and 7; quotes keep a comma: ``"red, white",blue``."""
    return [name.strip() for name in next(csv.reader([text], skipinitialspace=True))]


def _columns(count: int, turns: int) -> int | None:
    """The multiple of ``turns``, as images of so many classes take turns, that makes a grid most nearly square."""
    return turns * max(1, round(math.sqrt(count) / turns)) if 1 < turns <= count else None
