"""How many different images there are, effectively: over all, and inside of the classes."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from gancli.evaluation.metrics.base import Metric, Sides, require


def vendi_score(features: Tensor) -> float:
    """Effective number of different samples among features ``(N, d)``: from 1, all alike, to N, all orthogonal.

    The exponential of the entropy of the eigenvalues of K/N, with cosine similarities K: Friedman & Dieng 2023
    (arXiv:2210.02410), eq. 2. They are those of the smaller of the matrices ``X X^T / N`` and ``X^T X / N``.
    UsageError without samples.
    """
    require(len(features), 1, "the Vendi score")
    unit = normalize(features.double(), dim=1)
    gram = unit.T @ unit if len(unit) > unit.shape[1] else unit @ unit.T
    shares = torch.linalg.eigvalsh(gram / len(unit)).clamp_min(0)
    return torch.special.entr(shares).sum().exp().item()


def mean_vendi_score(features: Tensor, classes: Tensor) -> float:
    """The mean over classes of the Vendi score of their features ``(N, d)``; ``classes`` are numbers ``(N,)``."""
    scores = [vendi_score(features[classes == label]) for label in classes.unique()]
    return sum(scores) / len(scores)


def _centred(sides: Sides) -> Tensor:
    """Features about the real ones' mean, since features that are all positive resemble one another."""
    return sides.generated.features.values - sides.real.features.values.mean(0)


def _over_all(sides: Sides) -> dict[str, float]:
    return {"diversity": vendi_score(_centred(sides))}


def _inside_classes(sides: Sides) -> dict[str, float]:
    logits = sides.generated.features.logits
    assert logits is not None
    return {"intra_diversity": mean_vendi_score(_centred(sides), logits.argmax(1))}


METRICS = (
    Metric("diversity", _over_all, "as real", "standard", enough=200),
    Metric("intra_diversity", _inside_classes, "as real", "standard", enough=1000, logits=True),
)
