"""Frechet distance between normal distributions of features, and its limit for infinitely many images."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gancli.evaluation.metrics.base import Metric, Sides, require
from gancli.randomness import generator

SIZES = 15
"""Number of subsets for the extrapolation."""
MIN_SIZE = 5000
"""Smallest subset, or half of the images."""


@dataclass(frozen=True)
class Moments:
    """Mean and covariance of features, ``mu`` and ``sigma`` in files of pytorch-fid."""

    mean: Tensor
    """float64 ``(d,)``."""
    covariance: Tensor
    """float64 ``(d, d)``."""


def frechet_distance(generated: Tensor, real: Tensor, root: Tensor | None = None) -> float:
    """Squared Frechet distance between normal distributions fitted to two sets of features.

    Heusel et al. 2017 (arXiv:1706.08500), eq. 6, with means mu and covariances Sigma:

        FD = |mu_1 - mu_2|^2 + Tr(Sigma_1 + Sigma_2 - 2 (Sigma_1 Sigma_2)^(1/2)).

    It is biased upwards for few samples: compare only figures of equal N.

    Args:
        generated: ``(N, d)``.
        real: ``(M, d)``.
        root: `covariance_root` of the real features, if known.

    Returns:
        0 or more; 0 for equal moments.

    Raises:
        TooFewImages: below 2 samples on a side.

    Example:
        >>> real = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [0.0, -1.0], [0.0, 1.0]])
        >>> round(frechet_distance(real + 3, real), 6)  # equal covariances, means 3 apart twice
        18.0
    """
    require(min(len(generated), len(real)), 2, "the Frechet distance")
    return max(0.0, _distance(generated, real.double().mean(0), covariance_root(real) if root is None else root))


def moments_of(features: Tensor) -> Moments:
    """Mean and unbiased covariance of features ``(N, d)``; TooFewImages below 2.

    Example:
        >>> moments_of(torch.tensor([[0.0], [2.0]]))  # (1^2 + 1^2) / (2 - 1)
        Moments(mean=tensor([1.], dtype=torch.float64), covariance=tensor([[2.]], dtype=torch.float64))
    """
    require(len(features), 2, "a covariance")
    return Moments(features.double().mean(0), _covariance(features))


def frechet_distance_of_moments(generated: Moments, real: Moments) -> float:
    """`frechet_distance` from means and covariances.

    Example:
        >>> a = Moments(torch.zeros(2).double(), torch.eye(2).double())
        >>> b = Moments(torch.ones(2).double(), 9 * torch.eye(2).double())
        >>> round(frechet_distance_of_moments(a, b), 6)  # 2 * 1^2 + 2 * (3 - 1)^2
        10.0
    """
    root = _symmetric_root(real.covariance)
    return max(0.0, _sum_of_terms(generated.mean - real.mean, generated.covariance, root))


def frechet_distance_infinity(generated: Tensor, real: Tensor, seed: int = 0, root: Tensor | None = None) -> float:
    """Frechet distance extrapolated to infinitely many generated images.

    Chong & Forsyth 2020 (arXiv:1911.07023), section 4: the intercept of a line in 1/N, fitted to the distances of 15
    random subsets of 5000 (or N/2 if smaller) to N images. The bias from the number of real images remains.

    Args:
        generated: features ``(N, d)``.
        real: features ``(M, d)``.
        seed: of the random parts.
        root: `covariance_root` of the real features, if known.

    Returns:
        Approximately unbiased in N, so it can be below 0.

    Raises:
        TooFewImages: below 4 samples on a side.

    Example:
        >>> features = torch.randn(4000, 4, generator=torch.Generator().manual_seed(0))
        >>> abs(frechet_distance_infinity(features[:2000], features[2000:])) < 0.01
        True
    """
    require(min(len(generated), len(real)), 4, "the limit of the Frechet distance")
    root = covariance_root(real) if root is None else root
    sizes = np.linspace(min(MIN_SIZE, len(generated) // 2), len(generated), SIZES).astype(int)
    drawn, mean = generator(seed, "fd-infinity"), real.double().mean(0)
    parts = (generated[torch.randperm(len(generated), generator=drawn)[:size]] for size in sizes.tolist())
    return float(np.polyfit(1 / sizes, [_distance(part, mean, root) for part in parts], 1)[1])


def covariance_root(features: Tensor) -> Tensor:
    """F with ``F^T F`` the covariance of features ``(N, d)``: float64 ``(min(N, d), d)``.

    For few features it is the centred features themselves, which is exact for a singular covariance.

    Example:
        >>> covariance_root(torch.tensor([[0.0], [2.0], [4.0]]))  # the variance is (2^2 + 0 + 2^2) / 2
        tensor([[2.]], dtype=torch.float64)
    """
    if len(features) <= features.shape[1]:
        return _centred(features) / (len(features) - 1) ** 0.5
    covariance = _covariance(features)
    lower, failed = torch.linalg.cholesky_ex(covariance)  # ten times as fast as eigenvectors; fails if singular
    if not failed:
        return lower.mT
    return _symmetric_root(covariance)


def _symmetric_root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    return (vectors * values.clamp_min(0).sqrt()) @ vectors.T


def _distance(generated: Tensor, mean: Tensor, root: Tensor) -> float:
    """The distance; for few samples, ``Tr (Sigma_1 Sigma_2)^(1/2)`` is the sum of singular values of ``F_1 F_2^T``."""
    mean_difference = generated.double().mean(0) - mean
    if len(generated) > generated.shape[1]:
        return _sum_of_terms(mean_difference, _covariance(generated), root)
    factor = covariance_root(generated)
    trace_of_root = torch.linalg.svdvals(factor @ root.T).sum()
    return (mean_difference.square().sum() + factor.square().sum() + root.square().sum() - 2 * trace_of_root).item()


def _sum_of_terms(mean_difference: Tensor, covariance: Tensor, root: Tensor) -> float:
    """The distance; ``Tr (Sigma_1 Sigma_2)^(1/2)`` is the sum of the roots of eigenvalues of ``F_2 Sigma_1 F_2^T``."""
    eigenvalues = torch.linalg.eigvalsh(root @ covariance @ root.T)
    rounding = len(eigenvalues) * torch.finfo(torch.float64).eps * eigenvalues.abs().amax()
    trace_of_root = eigenvalues.where(eigenvalues > rounding, 0).sqrt().sum()
    return (mean_difference.square().sum() + covariance.trace() + root.square().sum() - 2 * trace_of_root).item()


def _centred(features: Tensor) -> Tensor:
    return features.double() - features.double().mean(0)


def _covariance(features: Tensor) -> Tensor:
    centred = _centred(features)
    return centred.T @ centred / (len(features) - 1)


def _root(sides: Sides) -> Tensor:
    return sides.real.once("covariance root", lambda: covariance_root(sides.real.features.values))


def _values(sides: Sides) -> tuple[Tensor, Tensor]:
    require(min(len(sides.generated), len(sides.real)), 2, "the Frechet distance")
    return sides.generated.features.values, sides.real.features.values


def _fitted(sides: Sides) -> dict[str, float]:
    return {"fd": frechet_distance(*_values(sides), _root(sides))}


def _limit(sides: Sides) -> dict[str, float]:
    return {"fd_infinity": frechet_distance_infinity(*_values(sides), sides.seed, _root(sides))}


METRICS = (
    Metric("fd", _fitted, "lower", "fast", distance=True, per_dimension=10),
    Metric("fd_infinity", _limit, "lower", "full", enough=2 * MIN_SIZE),
)
