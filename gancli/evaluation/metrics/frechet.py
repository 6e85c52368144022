"""Frechet distance between the features' normal distributions, and its limit for infinitely many images."""

import numpy as np
import torch
from torch import Tensor

from gancli.evaluation.metrics.base import Metric, Sides, require
from gancli.randomness import generator

SIZES = 15
SMALLEST_SIZE = 5000


def frechet_distance(generated: Tensor, real: Tensor) -> float:
    """Squared Frechet distance of two normal distributions fitted to the features, at least 0.

    ``|m1 - m2|^2 + Tr(S1 + S2 - 2 (S1 S2)^(1/2))``, Heusel et al. 2017 (arXiv:1706.08500), eq. 6, for features
    ``(N, d)`` and ``(M, d)``. It is biased upwards for few samples, so compare only figures of equal N. UsageError
    below 2 samples.
    """
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

    require(min(len(generated), len(real)), 2, "the Frechet distance")
    statistics = [fid_features_to_statistics(features.double()) for features in (generated, real)]
    return max(0.0, fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID])


def frechet_distance_infinity(generated: Tensor, real: Tensor, seed: int = 0) -> float:
    """The distance extrapolated to infinitely many generated images; about unbiased in them, so it can be below 0.

    Distances of 15 random parts, of 5000 (or half of N, if that is less) to N images, are fitted by a line in 1/N,
    whose value at 0 it is: Chong & Forsyth 2020 (arXiv:1911.07023), section 4. UsageError below 4 samples.
    """
    require(min(len(generated), len(real)), 4, "the limit of the Frechet distance")
    centre, root, spread = _root(real)
    sizes = np.linspace(min(SMALLEST_SIZE, len(generated) // 2), len(generated), SIZES).astype(int)
    drawn = generator(seed, "fd-infinity")
    found = []
    for size in sizes.tolist():
        part = generated[torch.randperm(len(generated), generator=drawn)[:size]].double()
        mean, covariance = part.mean(0), part.T.cov()
        cross = torch.linalg.eigvalsh(root @ covariance @ root).clamp_min(0).sqrt().sum()
        found.append(((mean - centre).square().sum() + covariance.trace() + spread - 2 * cross).item())
    return float(np.polyfit(1 / sizes, found, 1)[1])


def _root(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, square root of the covariance, and the covariance's trace."""
    covariance = features.double().T.cov()
    values, vectors = torch.linalg.eigh(covariance)
    return features.double().mean(0), (vectors * values.clamp_min(0).sqrt()) @ vectors.T, covariance.trace()


def _distance(sides: Sides) -> dict[str, float]:
    return {"fd": frechet_distance(sides.generated.features.values, sides.real.features.values)}


def _limit(sides: Sides) -> dict[str, float]:
    found = frechet_distance_infinity(sides.generated.features.values, sides.real.features.values, sides.seed)
    return {"fd_infinity": found}


METRICS = (
    Metric("fd", _distance, "lower", "fast", per_dimension=10),
    Metric("fd_infinity", _limit, "lower", "full", enough=2 * SMALLEST_SIZE),
)
