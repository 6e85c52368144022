"""Compare reports of equal evaluations, with a test of each difference."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from gancli.errors import UsageError
from gancli.evaluation.report import Figure, Report

LEVEL = 0.05
"""Probability of any significant difference between equal generators, over all tests."""


@dataclass(frozen=True)
class Difference:
    """The difference between a report's figure and the first report's."""

    better: bool | None
    """True or false if the figure is significantly better or worse than the first; None if neither."""
    probability: float | None
    """Probability of a difference as large between equal generators (Welch's test); None without error bars."""


@dataclass(frozen=True)
class Row:
    """One metric in all reports."""

    figures: tuple[Figure, ...]
    differences: tuple[Difference, ...]
    """Those of each report except the first."""


def compare(reports: Sequence[Report], names: Sequence[str]) -> list[Row]:
    """A row for each figure that all reports have.

    Significance is by Welch's test over the sets, with Bonferroni's correction for all tests. It covers the sampling
    error only, not differences between trainings with other seeds.

    Raises:
        UsageError: there are fewer than two reports; they have other real images, split, extractor or N; or they have
            no figure in common.
    """
    if len(reports) < 2:
        raise UsageError("gancli compare needs at least two runs or reports.")
    for report, name in zip(reports[1:], names[1:], strict=True):
        _require_comparable(reports[0], report, names[0], name)
    shared = [f.name for f in reports[0].figures if all(f.name in {g.name for g in r.figures} for r in reports)]
    if not shared:
        raise UsageError("these reports have no figure in common; evaluate all with the same --metrics.")
    tests = len(shared) * (len(reports) - 1)
    rows = []
    for name in shared:
        figures = tuple(report.figure(name) for report in reports)
        rows.append(Row(figures, tuple(_difference(figures[0], other, tests) for other in figures[1:])))
    return rows


def _require_comparable(first: Report, other: Report, first_name: str, other_name: str) -> None:
    sizes = [sorted({figure.n for figure in report.figures}) for report in (first, other)]
    for what, ours, theirs in (
        ("extractor", first.extractor, other.extractor),
        ("real images (fingerprint)", first.fingerprint, other.fingerprint),
        ("split", first.split, other.split),
        ("N", sizes[0], sizes[1]),
    ):
        if ours != theirs:
            a, b = (", ".join(map(str, each)) if isinstance(each, list) else each for each in (ours, theirs))
            raise UsageError(
                f"{first_name} and {other_name} cannot be compared: {what} is {a} in the first and {b} in the other; "
                "evaluate both alike."
            )


def _difference(first: Figure, other: Figure, tests: int) -> Difference:
    probability = welch(first.values, other.values)
    if probability is None or probability >= LEVEL / tests:
        return Difference(None, probability)
    return Difference(merit(other) > merit(first), probability)


def merit(figure: Figure) -> float:
    """A figure's quality; larger is better. For ``as real`` it is at most 0, the value of real images."""
    if figure.better == "as real":
        return -abs(figure.value - (figure.baseline or 0.0))
    return figure.value if figure.better == "higher" else -figure.value


def welch(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Two-sided p-value of Welch's t-test; None if a list has fewer than two values, or one that is not finite.

    Example:
        >>> welch([1.0, 1.0], [1.0, 1.0]), welch([1.0, 1.0], [2.0, 2.0]), welch([1.0], [2.0, 3.0])
        (1.0, 0.0, None)
    """
    from scipy.stats import ttest_ind

    if min(len(a), len(b)) < 2 or not all(isinstance(v, float | int) and math.isfinite(v) for v in (*a, *b)):
        return None
    if len(set(a)) == len(set(b)) == 1:
        return 1.0 if a[0] == b[0] else 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # about nearly constant values
        return float(ttest_ind(a, b, equal_var=False).pvalue)
