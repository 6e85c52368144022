"""The figures of an evaluation, with all that is needed to read them, and limits on them."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from gancli.errors import UsageError, nearest

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Figure:
    """One metric's value beside what real images score in place of the generated ones."""

    metric: str
    """Short name, e.g. ``fd``."""
    name: str
    """With the features it was computed on, e.g. ``fd_lenet_1a2b``; only equal names can be compared."""
    value: float
    spread: float | None
    """Standard deviation over subsets, where the metric has one."""
    baseline: float
    """Training images against the same held-out images, at the same N."""
    n: int
    """Images on each side."""
    higher_is_better: bool


@dataclass(frozen=True)
class Report:
    """All figures of one evaluation."""

    figures: tuple[Figure, ...]
    extractor: str
    accuracy: float | None
    """Of the extractor on the held-out labels."""
    split: str
    """What the generated images were compared with."""
    fingerprint: str
    """Of the data set."""
    seed: int
    warnings: tuple[str, ...]
    per_class: Mapping[str, float] = field(default_factory=dict)
    """Of a conditional generator: for each class, the share of its images that the extractor takes for that class."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    def figure(self, metric: str) -> Figure:
        """The figure with this short or full name; UsageError with the nearest if there is none."""
        for figure in self.figures:
            if metric in (figure.metric, figure.name):
                return figure
        raise UsageError(f"there is no metric {metric!r}; {nearest(metric, [f.metric for f in self.figures])}")


@dataclass(frozen=True)
class Limit:
    """A condition on a figure, such as ``coverage<0.5``."""

    metric: str
    operator: str
    threshold: float
    text: str

    def crossed(self, report: Report) -> bool:
        """Whether the condition holds; UsageError if the report has no such metric."""
        return OPERATORS[self.operator](report.figure(self.metric).value, self.threshold)


def parse_limit(text: str) -> Limit:
    """Read ``metric<number`` (or ``<=``, ``>``, ``>=``); UsageError for anything else."""
    match = re.fullmatch(r"\s*([a-z]\w*)\s*(<=|>=|<|>)\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*", text)
    try:
        if match:
            return Limit(match[1], match[2], float(match[3]), text.strip())
    except ValueError:
        pass
    raise UsageError(f"--fail-if {text!r} is not a condition; write it like 'coverage<0.5' or 'fd>=10'.")
