"""Whether generated images are too near to training images, by their features: AuthPct and C_T."""

import numpy as np
import torch
from torch import Tensor

from gancli.evaluation import distances
from gancli.evaluation.metrics.base import Metric, Sides, require

CELLS = 3
LEAST_IN_CELL = 20


def authentic_percentage(apart: Tensor, places: Tensor, train: Tensor) -> float:
    """Percentage of generated images that are farther from their nearest training image than that one from its own.

    AuthPct of Alaa et al. 2022 (arXiv:2102.08921), section 3: 0 for copies, and for a perfect sampler what held-out
    images have, 50 or more. ``apart`` are the distances of the generated to the nearest training features, ``(N,)``,
    ``places`` where those are in ``train`` ``(M, d)``. UsageError below 2 training images.
    """
    require(len(train), 2, "authpct")
    used, back = places.unique(return_inverse=True)
    own = distances.nearest_others(train, 1, used)[:, 0]
    return 100 * (apart > own[back]).double().mean().item()


def copying_score(generated: Tensor, heldout: Tensor, generated_cells: Tensor, heldout_cells: Tensor) -> float:
    """Z-scored Mann-Whitney test of distances to the training images, generated ``(N,)`` against held-out ``(M,)``.

    C_T of Meehan et al. 2020 (arXiv:2004.05675), section 4: about 0 for a perfect sampler, far below for copies, far
    above for images unlike the training's. It is computed in each cell (numbers ``(N,)`` and ``(M,)``) and averaged
    with the held-out images' shares; cells with fewer than 20 generated images do not count. NaN if none does.
    """
    total = weight = 0.0
    for cell in heldout_cells.unique():
        ours, theirs = generated[generated_cells == cell], heldout[heldout_cells == cell]
        if len(ours) >= LEAST_IN_CELL:
            total += len(theirs) * _mann_whitney(ours, theirs)
            weight += len(theirs)
    return total / weight if weight else float("nan")


def _mann_whitney(ours: Tensor, theirs: Tensor) -> float:
    """Standard normal if both are alike; below 0 if ours are smaller."""
    ranked = theirs.sort().values
    below, up_to = (torch.searchsorted(ranked, ours, right=right) for right in (False, True))
    larger = ((below + up_to).double() / 2).sum().item()
    n, m = len(ours), len(theirs)
    return (larger - n * m / 2) / (n * m * (n + m + 1) / 12) ** 0.5


def _authentic(sides: Sides) -> dict[str, float]:
    assert sides.train is not None
    apart, places = sides.generated.nearest_in(sides.train)
    return {"authpct": authentic_percentage(apart[:, 0], places[:, 0], sides.train.features.values)}


def _copying(sides: Sides) -> dict[str, float]:
    from sklearn.cluster import KMeans

    assert sides.train is not None
    require(min(len(sides.generated), len(sides.real)), LEAST_IN_CELL, "c_t")
    train, sets = sides.train.features.values, (sides.generated, sides.real)
    some = train[torch.randperm(len(train), generator=torch.Generator().manual_seed(sides.seed))[:5000]]
    cells = KMeans(min(CELLS, len(some.unique(dim=0))), n_init=1, random_state=0).fit(some.numpy())
    apart = [side.nearest_in(sides.train)[0][:, 0] for side in sets]
    places = [torch.from_numpy(cells.predict(side.features.values.numpy()).astype(np.int64)) for side in sets]
    return {"c_t": copying_score(*apart, *places)}


METRICS = (
    Metric("authpct", _authentic, "as real", "standard", enough=200, memory=True),
    Metric("c_t", _copying, "as real", "standard", enough=200, memory=True),
)
