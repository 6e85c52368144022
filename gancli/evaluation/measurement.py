"""Compute metrics of sets of images, with the time that each takes; leave out metrics that lack images."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence

from gancli.evaluation.image_set import TooFewImages
from gancli.evaluation.metrics.base import Metric, Sides

Values = dict[str, float | TooFewImages]
"""Each metric's value, or the error that says how many images it lacks."""


@contextlib.contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Add the seconds that this context takes to an entry."""
    began = time.perf_counter()
    try:
        yield
    finally:
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - began


def measure(sides: Sides, chosen: Sequence[Metric], seconds: dict[str, float]) -> Values:
    """The values of metrics for one set of images; those computed together are timed under the first one's name."""
    values: Values = {}
    for metric in chosen:
        if metric.name not in values:
            with timed(seconds, metric.name):
                try:
                    values |= metric.compute(sides)
                except TooFewImages as error:
                    values[metric.name] = error
    return values


def without_lacking(
    chosen: Sequence[Metric], named: set[str], measured: Sequence[Mapping[str, float | TooFewImages]]
) -> tuple[list[Metric], list[dict[str, float]], list[str]]:
    """The metrics that have values, their values for each set, and notes on the others.

    Raises:
        TooFewImages: a metric that the user named lacks images, or all metrics do.
    """
    lacking = {m.name: lack for m in chosen if isinstance(lack := measured[0][m.name], TooFewImages)}
    reasons: dict[str, list[str]] = {}
    for name, lack in lacking.items():
        if name in named or len(lacking) == len(chosen):
            raise lack
        reasons.setdefault(str(lack), []).append(name)
    values = [{n: value for n, value in each.items() if not isinstance(value, TooFewImages)} for each in measured]
    notes = [f"left out: {', '.join(names)}. {reason}" for reason, names in reasons.items()]
    return [metric for metric in chosen if metric.name not in lacking], values, notes
