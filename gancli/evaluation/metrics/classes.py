"""Which classes of labelled images are drawn, and how often."""

from torch import Tensor

from gancli.evaluation.metrics.base import Metric, Sides
from gancli.evaluation.modes import count_classes


def _count(sides: Sides) -> dict[str, float]:
    modes, balance = count_classes(_logits(sides.generated.features.logits), _logits(sides.real.features.logits))
    return {"modes": modes, "class_kl": balance}


def _logits(found: Tensor | None) -> Tensor:
    assert found is not None
    return found


METRICS = (
    Metric("modes", _count, "higher", "fast", logits=True),
    Metric("class_kl", _count, "lower", "fast", enough=1000, logits=True),
)
