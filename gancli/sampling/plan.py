"""Plan a drawing: check all settings before the first image."""

import csv
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gancli.artifacts.lookup import generator_called
from gancli.config.sample_command import MAX_IMAGES, Sampling
from gancli.data.conditions import Label
from gancli.errors import UsageError
from gancli.machine import devices
from gancli.sampling.conditions import conditions_asked, in_words, labels_for
from gancli.sampling.generator import (
    LoadedGenerator,
    draw,
    draw_mixed,
    is_number,
    labels_of,
    load_generator,
    parse_numbers,
)
from gancli.sampling.labels import Labelled
from gancli.sampling.mark import Mark, mark_of
from gancli.sampling.selection import Selection


@dataclass(frozen=True)
class Drawing:
    """Images to be drawn."""

    batches: Iterator[Tensor]
    """The images, as from `generator.draw`."""
    numbers: Sequence[int]
    """Numbers of the images; of an interpolation, its frames from 0 on."""
    columns: int | None
    """Columns of a grid, so that each class has its columns, or each interpolation its row; None: any."""
    mark: Mark
    """The mark of a picture of all of them."""
    selection: Selection
    """Seed, numbers and labels that they are drawn from."""
    labelled: Labelled | None = None
    """The labels of the images; None for an unconditional generator."""


def plan_sample(told: Sampling) -> Drawing:
    """Plan what `gancli.sample` draws."""
    return plan_drawing(told, lambda: load_generator(generator_called(told.ckpt), devices.select(told.device)))


def plan_drawing(told: Sampling, load: Callable[[], LoadedGenerator]) -> Drawing:
    """The same with a generator from ``load``, which is called after the numbers of the images are checked."""
    asked = conditions_asked(told.condition)  # a mistake is said before a file is read
    if told.mix is not None:
        return _plan_mix(told, asked, parse_pair(told), load)
    frames = told.interpolate or 1
    numbers = range(told.n) if told.seeds is None else told.seeds
    if isinstance(numbers, str):
        numbers = parse_numbers(numbers)
    if len(numbers) * frames > MAX_IMAGES:
        raise UsageError(f"more than {MAX_IMAGES:,} images are asked for; draw them in parts, with --seeds.")
    generator = load()
    classes, labels = _labels_asked(told, asked, generator, numbers)
    batches = draw(generator, numbers, told.seed, labels, told.batch_size, told.trunc, frames)
    turns = len(classes) if classes else len(generator.classes)
    columns = frames if told.interpolate else _columns(len(numbers), turns)
    mark = mark_of(
        generator.identity, generator.file.origin.recipe, generator.classes, numbers, labels,
        seed=told.seed, truncation=told.trunc, frames=frames, columns=columns, condition=in_words(asked),
    )  # fmt: skip
    shown = range(len(numbers) * frames) if told.interpolate else numbers
    selection = Selection(numbers, told.seed, labels, told.trunc, frames)
    return Drawing(batches, shown, columns, mark, selection, _labelled(asked, generator, selection))


def _labels_asked(
    told: Sampling, asked: Mapping[str, float], generator: LoadedGenerator, numbers: Sequence[int]
) -> tuple[Sequence[str] | None, list[Label] | None]:
    """The classes that were asked for, and the labels of these images; None for all in turn."""
    classes = names_in(told.classes) if isinstance(told.classes, str) else told.classes
    labels = None if classes is None else labels_of(generator, classes, len(numbers))
    return classes, labels_for(generator, asked, numbers) or labels


def _plan_mix(
    told: Sampling, asked: Mapping[str, float], pair: Sequence[int], load: Callable[[], LoadedGenerator]
) -> Drawing:
    """All mixtures of the styles of two images, in one row."""
    generator = load()
    _, labels = _labels_asked(told, asked, generator, pair)
    images = torch.cat([*draw_mixed(generator, pair, told.seed, labels, told.trunc)])
    mark = mark_of(
        generator.identity, generator.file.origin.recipe, generator.classes, pair, labels,
        seed=told.seed, truncation=told.trunc, frames=len(images), mixed=True, columns=len(images),
        condition=in_words(asked),
    )  # fmt: skip
    selection = Selection(pair, told.seed, labels, told.trunc)
    return Drawing(iter([images]), range(len(images)), len(images), mark, selection)


def parse_pair(told: Sampling) -> list[int]:
    """``3:5`` of ``--mix`` -> [3, 5]; UsageError for anything else, and for other flags that choose numbers."""
    first, _, second = str(told.mix).partition(":")
    if not (is_number(first) and is_number(second)):
        raise UsageError(f"--mix {told.mix!r}: give the numbers of two images, such as 3:5.")
    for flag, value in ("--seeds", told.seeds), ("--interpolate", told.interpolate):
        if value is not None:
            raise UsageError(f"--mix names its two images; remove {flag}.")
    return [int(first), int(second)]


def _labelled(asked: Mapping[str, float], generator: LoadedGenerator, selection: Selection) -> Labelled | None:
    if (known := generator.conditions) is not None:
        rows = known.rows_of(selection.numbers, asked)
        return Labelled([row for row in rows for _ in range(selection.frames)], known.names, "conditions")
    labels = selection.labels_at(range(selection.count), generator.choices)
    return None if labels is None else Labelled(labels, generator.classes)


def names_in(text: str) -> list[str]:
    """``3,7`` -> 3 and 7; quotes keep a comma: ``"red, white",blue``."""
    return [name.strip() for name in next(csv.reader([text], skipinitialspace=True))]


def _columns(count: int, turns: int) -> int | None:
    """The multiple of ``turns``, the number of classes drawn in turn, for the most nearly square grid."""
    return turns * max(1, round(math.sqrt(count) / turns)) if 1 < turns <= count else None
