"""Memorisation: generated images too near to training images in feature space (AuthPct and C_T)."""

import numpy as np
import torch
from torch import Tensor

from gancli.evaluation import distances
from gancli.evaluation.metrics.base import Metric, Sides, require

CELLS = 3
"""Number of cells, by k-means."""
MIN_IN_CELL = 20
"""Cells with fewer generated images do not count."""
MAX_CLUSTERED = 5000
"""Training images for k-means."""


def authentic_percentage(apart: Tensor, places: Tensor, train: Tensor) -> float:
    """AuthPct: percentage of generated images that are farther from their nearest training image x than x from its own.

    Alaa et al. 2022 (arXiv:2102.08921), section 3.

    Args:
        apart: distances of generated features to their nearest training features ``(N,)``.
        places: rows of these in ``train`` ``(N,)``.
        train: training features ``(M, d)``.

    Returns:
        0 for copies; the value of held-out images, about 50 or more, for a perfect sampler.

    Raises:
        TooFewImages: below 2 training images.

    Example:
        >>> train = torch.tensor([[0.0], [2.0]]).double()  # 2 apart; one image is 1 from its nearest, the other 3
        >>> authentic_percentage(torch.tensor([1.0, 3.0]).double(), torch.tensor([0, 1]), train)
        50.0
    """
    require(len(train), 2, "authpct")
    used, back = places.unique(return_inverse=True)
    own = distances.nearest_others(train, 1, used)[:, 0]
    return 100 * (apart > own[back]).double().mean().item()


def copying_score(generated: Tensor, heldout: Tensor, generated_cells: Tensor, heldout_cells: Tensor) -> float:
    """C_T: z-scored Mann-Whitney test of distances to training images, generated against held-out.

    Meehan et al. 2020 (arXiv:2004.05675), section 4: ``C_T = sum_c P_c Z_U(c) / sum_c P_c`` over cells c of the feature
    space, with the share P_c of held-out images in a cell. Cells with fewer than 20 generated images do not count.

    Args:
        generated: distances to the nearest training features ``(N,)``.
        heldout: the same for held-out images ``(M,)``.
        generated_cells: numbers of the generated images' cells ``(N,)``.
        heldout_cells: the same for held-out images ``(M,)``.

    Returns:
        About 0 for a perfect sampler, far below 0 for copies, far above for images unlike the training images; NaN if
        no cell counts.

    Example:
        >>> distances, cells = torch.linspace(1, 2, 50), torch.zeros(50)
        >>> copying_score(distances, distances, cells, cells)
        0.0
        >>> round(copying_score(0 * distances, distances, cells, cells), 2)  # all copies
        -8.62
    """
    weighted = weight = 0.0
    for cell in heldout_cells.unique():
        ours, theirs = generated[generated_cells == cell], heldout[heldout_cells == cell]
        if len(ours) >= MIN_IN_CELL:
            weighted += len(theirs) * _mann_whitney(ours, theirs)
            weight += len(theirs)
    return weighted / weight if weight else float("nan")


def _mann_whitney(ours: Tensor, theirs: Tensor) -> float:
    """Z_U of U, the number of pairs in which ours is larger: standard normal for equal distributions."""
    ranked = theirs.sort().values
    below, up_to = (torch.searchsorted(ranked, ours, right=right) for right in (False, True))
    u = ((below + up_to).double() / 2).sum().item()
    n, m = len(ours), len(theirs)
    mean, deviation = n * m / 2, (n * m * (n + m + 1) / 12) ** 0.5
    return (u - mean) / deviation


def _authentic(sides: Sides) -> dict[str, float]:
    assert sides.train is not None
    apart, places = sides.generated.nearest_in(sides.train)
    return {"authpct": authentic_percentage(apart[:, 0], places[:, 0], sides.train.features.values)}


def _copying(sides: Sides) -> dict[str, float]:
    from sklearn.cluster import KMeans

    assert sides.train is not None
    require(min(len(sides.generated), len(sides.real)), MIN_IN_CELL, "c_t")
    train, sets = sides.train.features.values, (sides.generated, sides.real)
    some = train[torch.randperm(len(train), generator=torch.Generator().manual_seed(sides.seed))[:MAX_CLUSTERED]]
    cells = KMeans(min(CELLS, len(some.unique(dim=0))), n_init=1, random_state=0).fit(some.numpy())
    apart = [side.nearest_in(sides.train)[0][:, 0] for side in sets]
    places = [torch.from_numpy(cells.predict(side.features.values.numpy()).astype(np.int64)) for side in sets]
    return {"c_t": copying_score(*apart, *places)}


METRICS = (
    Metric("authpct", _authentic, "as real", "standard", enough=200, memory=True),
    Metric("c_t", _copying, "as real", "standard", enough=200, memory=True),
)
