"""Conditions: numbers that describe a picture, such as smile and age, in place of one class."""

import itertools
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

Label = int | tuple[float, ...]
"""What a conditional generator is asked for: the index of a class, or standardised conditions."""
log = logging.getLogger(__name__)
MAX_ROWS, MAX_KEPT = 1024, 2**15
"""Bounds of the rows, and of their numbers, that a generator file keeps."""


@dataclass(frozen=True)
class Conditions:
    """The K conditions of a training set: names, scales, ranges and some rows, all in the user's units."""

    names: tuple[str, ...]
    means: tuple[float, ...]
    """Mean of each condition; 0 if its values are 0 and 1 alone."""
    deviations: tuple[float, ...]
    """Standard deviation of each condition; 1 if its values are 0 and 1 alone, or all the same."""
    least: tuple[float, ...]
    most: tuple[float, ...]
    rows: tuple[tuple[float, ...], ...]
    """Conditions of training pictures: all, or as many, evenly spread, as a generator file should hold."""

    def standardised(self, values: Tensor) -> Tensor:
        """Values ``(N, K)`` in the user's units -> float32 ``(N, K)``: (value - mean) / deviation."""
        means, deviations = (
            torch.tensor(each, dtype=torch.float64, device=values.device) for each in (self.means, self.deviations)
        )
        return ((values.double() - means) / deviations).float()

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Least and largest value of each condition, by name."""
        return dict(zip(self.names, zip(self.least, self.most, strict=True), strict=True))

    @cached_property
    def choices(self) -> list[Label]:
        """The rows, standardised."""
        return self.labels(self.rows)

    def labels(self, rows: Sequence[tuple[float, ...]]) -> list[Label]:
        """Rows in the user's units, standardised."""
        return [tuple(row) for row in self.standardised(torch.tensor(rows, dtype=torch.float64)).tolist()]

    def rows_of(self, numbers: Sequence[int], named: Mapping[str, float] | None = None) -> list[tuple[float, ...]]:
        """A row for each number of an image: the rows in turn, with the ``named`` values in place of their own."""
        own = {self.names.index(name): value for name, value in (named or {}).items()}
        return [
            tuple(own.get(place, value) for place, value in enumerate(self.rows[number % len(self.rows)]))
            for number in numbers
        ]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for a file."""
        return {name: [*map(_plain, value)] for name, value in asdict(self).items()}


def conditions_of(names: Sequence[str], values: Tensor | None) -> Conditions | None:
    """The conditions of these names, scaled by training pictures' ``values``, float64 ``(N, K)``; None without names.

    Warns about conditions that are the same for all pictures.
    """
    if not names or values is None:
        return None
    least, most, deviations = values.amin(0), values.amax(0), values.std(0, correction=0)
    is_same = (least == most) | (deviations == 0)  # rounding gives equal values a deviation
    for name in itertools.compress(names, is_same.tolist()):
        log.warning("condition %s is the same for all training pictures; it teaches nothing.", name)
    is_switch = ((values == 0) | (values == 1)).all(0)
    scales = torch.where(is_switch | is_same, torch.ones_like(deviations), deviations)
    kept = max(1, min(MAX_ROWS, MAX_KEPT // len(names), len(values)))
    rows = values[torch.arange(kept) * len(values) // kept]
    return Conditions(
        tuple(names),
        tuple(torch.where(is_switch, torch.zeros_like(scales), values.mean(0)).tolist()),
        tuple(scales.tolist()),
        tuple(least.tolist()),
        tuple(most.tolist()),
        tuple(map(tuple, rows.tolist())),
    )


def summary_of(names: Sequence[str], values: Tensor) -> dict[str, dict[str, float]]:
    """Plain data about values ``(N, K)``: ``least``, ``most`` and ``mean``, or the ``share`` of ones of 0 and 1."""
    return {
        name: {"share": column.mean().item()}
        if bool(((column == 0) | (column == 1)).all())
        else {"least": column.min().item(), "most": column.max().item(), "mean": column.mean().item()}
        for name, column in zip(names, values.T, strict=True)
    }


def conditions_in(content: Any) -> Conditions | None:
    """Read what `Conditions.as_dict` gave; None for None. KeyError, TypeError or ValueError if it is invalid."""
    if content is None:
        return None
    read = Conditions(*(tuple(map(_tuple, content[each.name])) for each in fields(Conditions)))
    numbers = (read.means, read.deviations, read.least, read.most, *read.rows)
    if not all(isinstance(name, str) for name in read.names) or not read.names or not read.rows:
        raise TypeError("conditions must have names and rows")
    if any(len(each) != len(read.names) for each in numbers):
        raise ValueError("conditions must have one number for each name")
    if not all(isinstance(value, int | float) and math.isfinite(value) for each in numbers for value in each):
        raise ValueError("conditions must be finite numbers")
    if min(read.deviations) <= 0:
        raise ValueError("deviations of conditions must be above 0")
    return read


def choices_of(classes: Sequence[str], conditions: Conditions | None) -> Sequence[Label]:
    """Labels that images have in turn: all classes, or known rows of conditions; empty without both."""
    return range(len(classes)) if conditions is None else conditions.choices


def default_labels(numbers: Sequence[int], choices: Sequence[Label]) -> list[Label] | None:
    """Choice ``number mod count`` for each number of an image; None without choices."""
    return [choices[number % len(choices)] for number in numbers] if choices else None


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else value
