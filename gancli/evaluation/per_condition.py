"""How well a generator follows its conditions, by a regression from features to each condition.

It differs from the label score of Ding et al. 2021 (CcGAN, arXiv:2011.07466):
- The regression is ridge regression on the extractor's features, not a network that is trained on pictures.
- The figure is a rank correlation, which needs no unit, not the mean absolute error.
"""

import math
import statistics
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gancli.evaluation.features import Features
from gancli.evaluation.image_set import ImageSet

MAX_FITTED = 2000
"""Training images for the regression."""
PENALTIES = torch.logspace(-3, 3, 13, dtype=torch.float64)
"""Penalties to choose from, as multiples of the mean squared singular value."""


@dataclass(frozen=True)
class KnownConditions:
    """The conditions of real images, float64 ``(N, K)``, by name, in any unit."""

    names: tuple[str, ...]
    train: Tensor
    heldout: Tensor


@dataclass(frozen=True)
class AskedConditions:
    """The conditions ``(N, K)`` that a generator's images were drawn for, by name, in any unit."""

    names: tuple[str, ...]
    values: Tensor


def correlations(
    generated: Sequence[Features], asked: AskedConditions, known: KnownConditions, train: ImageSet, heldout: ImageSet
) -> dict[str, tuple[float, float]]:
    """Rank correlation of each condition with its prediction from the features: of generated, and of held-out images.

    The regression is fitted on training images. The first is a mean over the generated sets, which all have the
    conditions ``asked``. Conditions that either side lacks, or that are the same for all its images, are left out.
    """
    fitted = train.part(slice(MAX_FITTED)).features.values
    regression, by_condition = Ridge(fitted), {}
    for place, name in enumerate(asked.names):
        if name not in known.names:
            continue
        column, wanted = known.names.index(name), asked.values[: len(generated[0]), place]
        predict = regression.predictor(known.train[: len(fitted), column].double())
        real = rank_correlation(known.heldout[:, column], predict(heldout.features.values))
        ours = [rank_correlation(wanted, predict(each.values)) for each in generated]
        if not any(map(math.isnan, (real, *ours))):
            by_condition[name] = statistics.fmean(ours), real
    return by_condition


class Ridge:
    """Ridge regression from standardised features, float64 ``(N, d)``.

    The penalty is the one of `PENALTIES` with the least generalised cross-validation error (Golub, Heath and Wahba
    1979): mean squared error / (1 - degrees of freedom / N)^2.
    """

    def __init__(self, features: Tensor) -> None:
        deviations = features.std(0, correction=0)
        self.centre, self.scale = features.mean(0), torch.where(deviations > 0, deviations, 1.0)
        self.u, self.s, self.v = torch.linalg.svd((features - self.centre) / self.scale, full_matrices=False)

    def predictor(self, targets: Tensor) -> Callable[[Tensor], Tensor]:
        """Fit to targets ``(N,)``; returns the prediction ``(M,)``, a function of features ``(M, d)``."""
        mean, squares = targets.mean(), self.s.square()
        along, penalties = self.u.T @ (targets - mean), PENALTIES[:, None] * squares.mean()
        shares = squares / (squares + penalties)
        outside = (targets - mean).square().sum() - along.square().sum()
        errors = outside + ((1 - shares) * along).square().sum(1)
        best = (errors / (len(targets) - 1 - shares.sum(1)).clamp_min(1e-9).square()).argmin()
        weights = self.v.T @ (self.s / (squares + penalties[best]) * along)
        return lambda features: (features - self.centre) / self.scale @ weights + mean


def rank_correlation(first: Tensor, second: Tensor) -> float:
    """Spearman's rank correlation of two samples ``(N,)``; equal values share their mean rank. NaN if one is constant.

    Example:
        >>> round(rank_correlation(torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([1.0, 10.0, 5.0, 99.0])), 3)
        0.8
    """
    from scipy.stats import spearmanr

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # about constant values
        return float(spearmanr(first.numpy(), second.numpy()).statistic)
