"""Distances and coverage between two sets of features: float64 ``(N, d)`` tensors on the CPU, generated first.

torch-fidelity computes the first two; the neighbourhoods are computed here, in blocks of bounded memory.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from gancli.errors import UsageError

KID_SUBSETS = 100
KID_SUBSET_SIZE = 1000
PRECISION_K = 3
DENSITY_K = 5
BLOCK_ROWS = 1024


def frechet_distance(generated: Tensor, real: Tensor) -> float:
    """Squared Frechet distance of two normal distributions fitted to the features, at least 0.

    ``|m1 - m2|^2 + Tr(S1 + S2 - 2 (S1 S2)^(1/2))``, Heusel et al. 2017 (arXiv:1706.08500), eq. 6. It is biased
    upwards for few samples, so compare only figures of equal N. UsageError below 2 samples.
    """
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

    _require(generated, real, 2)
    statistics = [fid_features_to_statistics(features.double()) for features in (generated, real)]
    return max(0.0, fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID])


def kernel_distance(generated: Tensor, real: Tensor, seed: int = 0) -> tuple[float, float | None]:
    """Squared maximum mean discrepancy with k(x, y) = (x.y / d + 1)^3: mean and standard deviation over 100 subsets.

    KID of Binkowski et al. 2018 (arXiv:1801.01401), section 4; unbiased, so it can be below 0. Subsets have 1000
    samples or all there are, and then the deviation, which is that over subsets and no error of the mean, is None.
    UsageError below 2 samples.
    """
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric

    _require(generated, real, 2)
    size = min(KID_SUBSET_SIZE, len(generated), len(real))
    whole = size == len(generated) == len(real)
    subsets = 1 if whole else KID_SUBSETS
    figures = kid_features_to_metric(
        generated, real, kid_subsets=subsets, kid_subset_size=size, rng_seed=seed, verbose=False
    )
    return figures[KEY_METRIC_KID_MEAN], None if whole else figures[KEY_METRIC_KID_STD]


@dataclass(frozen=True)
class Neighbourhood:
    """Four figures from the distances between all features; see `neighbourhood`."""

    precision: float
    recall: float
    density: float
    coverage: float


def neighbourhood(generated: Tensor, real: Tensor) -> Neighbourhood:
    """Precision, recall, density and coverage, in one pass over the distances of all pairs.

    A ball around a feature reaches its k-th neighbour of the same set. Precision is the share of generated
    features inside some real ball and recall the share of real ones inside some generated ball, k = 3
    (Kynkaanniemi et al. 2019, arXiv:1904.06991, eq. 2 and 3). Density is the mean number of real balls that a
    generated feature is strictly inside of, over k, and coverage the share of real balls that hold a generated
    feature, k = 5 (Naeem et al. 2020, arXiv:2002.09797, eq. 3 and 4). Memory is bounded by blocks of rows.
    UsageError for 5 samples or fewer.
    """
    _require(generated, real, DENSITY_K + 1)
    real_radii, generated_radii = _radii(real), _radii(generated)
    inside_real, balls, reached, nearest = [], 0, [], []
    for rows, radii in zip(generated.split(BLOCK_ROWS), generated_radii.split(BLOCK_ROWS), strict=True):
        distances = _distances(rows, real)
        inside_real.append((distances <= real_radii[:, 0]).any(1))
        balls += int((distances < real_radii[:, 1]).sum())
        reached.append((distances <= radii[:, :1]).any(0))
        nearest.append(distances.amin(0))
    return Neighbourhood(
        precision=_share(torch.cat(inside_real)),
        recall=_share(torch.stack(reached).any(0)),
        density=balls / (DENSITY_K * len(generated)),
        coverage=_share(torch.stack(nearest).amin(0) < real_radii[:, 1]),
    )


def _share(hits: Tensor) -> float:
    return hits.double().mean().item()


def _radii(features: Tensor) -> Tensor:
    """Distances of each feature to its neighbours number `PRECISION_K` and `DENSITY_K`: ``(N, 2)``.

    The nearest that is found is the feature itself.
    """
    found = [
        _distances(rows, features).topk(DENSITY_K + 1, largest=False).values for rows in features.split(BLOCK_ROWS)
    ]
    return torch.cat(found)[:, [PRECISION_K, DENSITY_K]]


def _distances(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances without the matrix product's cancellation, so that equal features are at distance 0."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def _require(generated: Tensor, real: Tensor, least: int) -> None:
    if min(len(generated), len(real)) < least:
        raise UsageError(
            f"{len(generated)} generated and {len(real)} real images are too few for this metric; it needs {least}."
        )
