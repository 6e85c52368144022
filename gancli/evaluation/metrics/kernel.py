"""Kernel distance (KID), an unbiased estimate of a maximum mean discrepancy."""

from torch import Tensor

from gancli.evaluation.metrics.base import Metric, Sides, require

SUBSETS = 100
"""Number of subsets."""
SUBSET_SIZE = 1000
"""Images of a subset."""


def kernel_distance(generated: Tensor, real: Tensor, seed: int = 0) -> float:
    """Kernel inception distance: squared maximum mean discrepancy, averaged over 100 subsets of m = 1000.

    Binkowski et al. 2018 (arXiv:1801.01401), section 4, with the kernel k(x, y) = (x.y / d + 1)^3:

        KID = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{i, j} k(x_i, y_j).

    Args:
        generated: features ``(N, d)``.
        real: features ``(M, d)``.
        seed: of the subsets; one subset of all samples if there are at most 1000.

    Returns:
        About 0 for equal distributions; it is unbiased, so it may be negative.

    Raises:
        TooFewImages: below 2 samples on a side.

    Example:
        >>> import torch
        >>> ones, zeros = torch.ones(5, 2).double(), torch.zeros(5, 2).double()
        >>> round(kernel_distance(ones, zeros), 6)  # (2/2 + 1)^3 + (0 + 1)^3 - 2 (0 + 1)^3
        7.0
    """
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    require(min(len(generated), len(real)), 2, "the kernel distance")
    m = min(SUBSET_SIZE, len(generated), len(real))
    subsets = 1 if m == len(generated) == len(real) else SUBSETS
    figures = kid_features_to_metric(
        generated, real, kid_subsets=subsets, kid_subset_size=m, rng_seed=seed, verbose=False
    )
    return figures[KEY_METRIC_KID_MEAN]


def _distance(sides: Sides) -> dict[str, float]:
    generated, real = (side.features.values / sides.scale for side in (sides.generated, sides.real))
    return {"kid": kernel_distance(generated, real, sides.seed)}


METRICS = (Metric("kid", _distance, "lower", "fast", enough=SUBSET_SIZE),)
