"""Number and frequency of generated classes, for labelled images; computed by `modes.count_classes`."""

from dataclasses import asdict

from torch import Tensor

from gancli.evaluation.metrics.base import Metric, Sides
from gancli.evaluation.modes import count_classes


def _count(sides: Sides) -> dict[str, float]:
    return asdict(count_classes(*(_logits(side.features.logits) for side in (sides.generated, sides.real))))


def _logits(logits: Tensor | None) -> Tensor:
    assert logits is not None
    return logits


METRICS = (
    Metric("modes", _count, "higher", "fast", logits=True),
    Metric("reverse_kl", _count, "lower", "fast", enough=1000, logits=True),
    Metric("class_kl", _count, "lower", "fast", enough=1000, logits=True),
)
