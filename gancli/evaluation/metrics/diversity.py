"""Effective number of different images (Vendi score), over all images and within classes."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from gancli.evaluation.metrics.base import Metric, Sides, require


def vendi_score(features: Tensor) -> float:
    """Vendi score: the effective number of different samples among features ``(N, d)``.

    Friedman & Dieng 2023 (arXiv:2210.02410), eq. 2: ``VS = exp(-sum_i lambda_i log lambda_i)`` with the eigenvalues
    lambda_i of K / N, where K = X X^T holds the cosine similarities. ``X^T X / N`` has the same non-zero ones.

    Returns:
        From 1 for equal samples to N for orthogonal ones.

    Raises:
        TooFewImages: without samples.

    Example:
        >>> round(vendi_score(torch.eye(4)), 6), round(vendi_score(torch.ones(4, 3)), 6)
        (4.0, 1.0)
    """
    require(len(features), 1, "the Vendi score")
    x = normalize(features.double(), dim=1)
    gram = x.T @ x if len(x) > x.shape[1] else x @ x.T
    eigenvalues = torch.linalg.eigvalsh(gram / len(x)).clamp_min(0)
    entropy = torch.special.entr(eigenvalues).sum()
    return entropy.exp().item()


def mean_vendi_score(features: Tensor, classes: Tensor) -> float:
    """The Vendi score of each class's features, averaged over classes.

    ``features`` are ``(N, d)``, ``classes`` their labels ``(N,)``.

    Example:
        >>> features = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
        >>> round(mean_vendi_score(features, torch.tensor([0, 0, 1, 1])), 6)  # 2 kinds and 1 kind
        1.5
    """
    scores = [vendi_score(features[classes == label]) for label in classes.unique()]
    return sum(scores) / len(scores)


def _centred(sides: Sides) -> Tensor:
    """Features minus the real ones' mean, because cosine similarities of positive features are all high."""
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
