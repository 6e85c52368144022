"""Frechet distance between the features' normal distributions, and its limit for infinitely many images."""

import numpy as np
import torch
from torch import Tensor

from gancli.evaluation.metrics.base import Metric, Sides, require
from gancli.randomness import generator

SIZES = 15
SMALLEST_SIZE = 5000


def frechet_distance(generated: Tensor, real: Tensor, root: Tensor | None = None) -> float:
    """Squared Frechet distance of two normal distributions fitted to the features, at least 0.

    ``|m1 - m2|^2 + Tr(S1 + S2 - 2 (S1 S2)^(1/2))``, Heusel et al. 2017 (arXiv:1706.08500), eq. 6, for features
    ``(N, d)`` and ``(M, d)``. It is biased upwards for few samples, so compare only figures of equal N. ``root`` is
    `covariance_root` of the real ones, if it is known. UsageError below 2 samples.
    """
    require(min(len(generated), len(real)), 2, "the Frechet distance")
    return max(0.0, _distance(generated, real.double().mean(0), covariance_root(real) if root is None else root))


def frechet_distance_infinity(generated: Tensor, real: Tensor, seed: int = 0, root: Tensor | None = None) -> float:
    """The distance extrapolated to infinitely many generated images; about unbiased in them, so it can be below 0.

    Distances of 15 random parts, of 5000 (or half of N, if that is less) to N images, are fitted by a line in 1/N,
    whose value at 0 it is: Chong & Forsyth 2020 (arXiv:1911.07023), section 4. UsageError below 4 samples.
    """
    require(min(len(generated), len(real)), 4, "the limit of the Frechet distance")
    root = covariance_root(real) if root is None else root
    sizes = np.linspace(min(SMALLEST_SIZE, len(generated) // 2), len(generated), SIZES).astype(int)
    drawn, mean = generator(seed, "fd-infinity"), real.double().mean(0)
    parts = (generated[torch.randperm(len(generated), generator=drawn)[:size]] for size in sizes.tolist())
    return float(np.polyfit(1 / sizes, [_distance(part, mean, root) for part in parts], 1)[1])


def covariance_root(features: Tensor) -> Tensor:
    """F with ``F^T F`` the covariance of features ``(N, d)``: float64 ``(min(N, d), d)``.

    The centred features themselves if they are few, so that nothing is lost where the covariance is singular.
    """
    if len(features) <= features.shape[1]:
        return _centred(features) / (len(features) - 1) ** 0.5
    covariance = _covariance(features)
    lower, failed = torch.linalg.cholesky_ex(covariance)  # a tenth of the time of eigenvectors, but not if singular
    if not failed:
        return lower.mT
    values, vectors = torch.linalg.eigh(covariance)
    return (vectors * values.clamp_min(0).sqrt()) @ vectors.T


def _distance(generated: Tensor, mean: Tensor, root: Tensor) -> float:
    """``Tr (S1 S2)^(1/2)`` is the sum of the singular values of ``F1 F2^T``, or of the roots of ``F2 S1 F2^T``."""
    if len(generated) <= generated.shape[1]:
        factor = covariance_root(generated)
        trace, cross = factor.square().sum(), torch.linalg.svdvals(factor @ root.T).sum()
    else:
        covariance = _covariance(generated)
        eigenvalues = torch.linalg.eigvalsh(root @ covariance @ root.T)
        rounding = len(eigenvalues) * torch.finfo(torch.float64).eps * eigenvalues.abs().amax()
        trace, cross = covariance.trace(), eigenvalues.where(eigenvalues > rounding, 0).sqrt().sum()
    apart = (generated.double().mean(0) - mean).square().sum()
    return (apart + trace + root.square().sum() - 2 * cross).item()


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
    Metric("fd_infinity", _limit, "lower", "full", enough=2 * SMALLEST_SIZE),
)
