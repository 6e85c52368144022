"""The report of an evaluation, and limits on its figures."""

import json
import math
import operator
import re
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from gancli.errors import FileFormatError, UsageError, in_a_list, nearest
from gancli.evaluation.pictures import Pictures
from gancli.evaluation.tables import as_html, as_text, multiple, with_error

SIDES = ("generated_pictures", "real_pictures")
HEADS = ("metric", "generated", "real", "x real", "better")
"""Heads of the table's columns."""
KIND = "gancli-report"
VERSION = 1
OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Figure:
    """One metric's value, and that of real images in place of the generated ones."""

    metric: str
    """Short name, e.g. ``fd``."""
    name: str
    """Name with the features, such as ``fd_lenet_1a2b``; only figures of equal names are comparable."""
    value: float
    """Mean over the generated sets."""
    error: float | None
    """Standard error of that mean; None for one set."""
    values: tuple[float, ...]
    """Values of each set."""
    baseline: float | None
    """Mean over sets of real (mostly training) images, against the same held-out ones, at the same N."""
    baseline_error: float | None
    """Standard error of that mean."""
    n: int
    """Images on each side; 0 if unknown, as for a file of mu and sigma."""
    better: str
    """``lower``, ``higher``, or ``as real``: the nearer to the baseline."""
    times_real: float | None = None
    """``value / baseline`` of a distance; None for other metrics and without a baseline above 0."""


@dataclass(frozen=True)
class Report:
    """All figures of one evaluation."""

    figures: tuple[Figure, ...]
    extractor: str
    accuracy: float | None
    """Accuracy of the extractor on held-out labels."""
    split: str
    """The real images' split."""
    fingerprint: str
    """Fingerprint of the data set."""
    seed: int
    warnings: tuple[str, ...]
    per_class: Mapping[str, float] = field(default_factory=dict)
    """For a conditional generator, the share of each class's images that the extractor classifies as it."""
    class_diversity: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """For a conditional generator, the Vendi score of each class's images and of as many real ones."""
    per_condition: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """For a generator with conditions, Spearman's rank correlation of each condition with its prediction from the
    features by ridge regression: of generated images and what was asked for, and of held-out images and their own."""
    shares: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Share of each class among generated and among held-out images, as classified by the extractor."""
    findings: tuple[str, ...] = ()
    """Unusual figures, in sentences."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Time of each part; metrics that are computed together count for the first."""
    generated: str = ""
    """Source of the generated images."""
    data: str = ""
    """Name of the data set."""
    generated_pictures: Pictures | None = None
    """Description of the generated pictures; None for points and features."""
    real_pictures: Pictures | None = None
    compared_at: str = ""
    """Height and width at which both were compared, such as ``32x32``."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON; numbers that are not finite become None."""
        return {"format": KIND, "version": VERSION} | finite(asdict(self))

    def __str__(self) -> str:
        """The table that ``gancli eval`` prints."""
        return as_text(HEADS, self.rows(), ("metric", "better"), self.remarks())

    def _repr_html_(self) -> str:
        """The same for a notebook."""
        return as_html(HEADS, self.rows(), self.remarks())

    def rows(self) -> list[tuple[str, ...]]:
        """A row of the table for each figure, as text."""
        return [
            (
                each.name,
                with_error(each.value, each.error),
                with_error(each.baseline, each.baseline_error),
                multiple(each.times_real),
                each.better,
            )
            for each in self.figures
        ]

    def remarks(self) -> Iterator[str]:
        """Lines below the table: findings, explanations of the columns, warnings, time."""
        yield from (f"finding: {finding}" for finding in self.findings)
        if self.generated_pictures is not None:
            sides = f"generated {self.generated_pictures}, real {self.real_pictures}"
            yield f"pictures: {sides}; compared at {self.compared_at}."
        if self.accuracy is not None:
            yield f"features: {self.extractor}, whose accuracy on the held-out images is {100 * self.accuracy:.1f} %."
        n = self.figures[0].n
        yield f"N = {f'{n:,} images on each side' if n else 'unknown'}; ±: standard error over sets."
        yield "real: real images in place of the generated ones, at the same N."
        if any(figure.times_real is not None for figure in self.figures):
            yield "x real: a distance as a multiple of that between real images."
        if self.per_class:
            shares = ", ".join(f"{in_a_list(name)} {100 * share:.0f}" for name, share in self.per_class.items())
            yield f"images taken for the class that was asked for, in %: {shares}"
        if self.class_diversity:
            each = self.class_diversity.items()
            kinds = ", ".join(f"{in_a_list(name)} {ours:.1f} ({real:.1f})" for name, (ours, real) in each)
            yield f"different images of a class, effectively (and of as many real ones): {kinds}"
        if self.per_condition:
            pairs = self.per_condition.items()
            told = ", ".join(f"{in_a_list(name)} {ours:.2f} ({real:.2f})" for name, (ours, real) in pairs)
            yield f"rank correlation of conditions asked for and predicted from the images (and of real images): {told}"
        yield from (f"note: {warning}" for warning in self.warnings)
        if self.seconds:
            yield f"time: {sum(self.seconds.values()):.1f} s"

    def figure(self, metric: str) -> Figure:
        """The figure with this short or full name; UsageError with the nearest if there is none."""
        for figure in self.figures:
            if metric in (figure.metric, figure.name):
                return figure
        raise UsageError(f"there is no metric {metric!r}; {nearest(metric, [f.metric for f in self.figures])}")


def figure_of(
    metric: str,
    name: str,
    values: Sequence[float],
    baselines: Sequence[float],
    n: int,
    better: str,
    distance: bool = False,
) -> Figure:
    """A figure from its values over generated sets and over sets of real images.

    >>> figure = figure_of("fd", "fd_lenet_1a2b", [2.0, 4.0], [1.5], 100, "lower", distance=True)
    >>> figure.value, figure.error, figure.times_real
    (3.0, 1.0, 2.0)
    """
    value, error = _mean_and_error(values)
    real, real_error = _mean_and_error(baselines)
    times_real = value / real if distance and real > 0 else None
    baseline = real if baselines else None
    return Figure(metric, name, value, error, tuple(values), baseline, real_error, n, better, times_real)


def load_report(path: Path) -> Report:
    """Read the output of ``gancli eval --json``; FileFormatError for any other file."""
    try:
        content = json.loads(path.read_text())
        if content["format"] != KIND or content["version"] != VERSION:
            raise ValueError(f"it has format {content['format']} {content['version']}")
        known = {each.name: content[each.name] for each in fields(Report) if each.name in content}
        figures = tuple(_figure(each) for each in known["figures"])
        known |= {side: Pictures(**known[side]) for side in SIDES if known.get(side)}
        return replace(Report(**known), figures=figures, warnings=tuple(known["warnings"]))
    except OSError as error:
        raise FileFormatError(f"cannot read {path}: {error.strerror or error}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise FileFormatError(f"{path} is not a report that gancli eval --json wrote ({error}).") from error


@dataclass(frozen=True)
class Limit:
    """A condition on a figure, such as ``coverage<0.5``."""

    metric: str
    operator: str
    threshold: float
    text: str

    def crossed(self, report: Report) -> bool:
        """True if the condition holds, or if the value is NaN.

        UsageError if the report has no such metric.
        """
        value = report.figure(self.metric).value
        return math.isnan(value) or OPERATORS[self.operator](value, self.threshold)


def parse_limit(text: str) -> Limit:
    """Read ``metric<number`` (or ``<=``, ``>``, ``>=``); UsageError for anything else."""
    match = re.fullmatch(r"\s*([a-z]\w*)\s*(<=|>=|<|>)\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*", text)
    try:
        if match:
            return Limit(match[1], match[2], float(match[3]), text.strip())
    except ValueError:
        pass
    raise UsageError(f"--fail-if {text!r} is not a condition; write it like 'coverage<0.5' or 'fd>=10'.")


def _mean_and_error(values: Sequence[float]) -> tuple[float, float | None]:
    if not all(map(math.isfinite, values)) or len(values) < 2:
        return (statistics.fmean(values) if values else math.nan), None
    return statistics.fmean(values), statistics.stdev(values) / len(values) ** 0.5


def _figure(plain: Mapping[str, Any]) -> Figure:
    known = {each.name: plain[each.name] for each in fields(Figure) if each.name in plain}
    value = math.nan if known["value"] is None else float(known["value"])
    return replace(Figure(**known), value=value, n=int(known["n"]), values=tuple(known["values"]))


def finite(value: Any) -> Any:
    """Plain data with None for numbers that JSON lacks."""
    if isinstance(value, Mapping):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
