"""Kernel distance, an unbiased one."""

from torch import Tensor

from gancli.evaluation.metrics.base import Metric, Sides, require

SUBSETS = 100
SUBSET_SIZE = 1000


def kernel_distance(generated: Tensor, real: Tensor, seed: int = 0) -> float:
    """Squared maximum mean discrepancy with k(x, y) = (x.y / d + 1)^3, the mean over 100 subsets of 1000.

    KID of Binkowski et al. 2018 (arXiv:1801.01401), section 4, of features ``(N, d)`` and ``(M, d)``; unbiased, so it
    can be below 0. Fewer samples than 1000 are one subset. UsageError below 2 samples.
    """
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    require(min(len(generated), len(real)), 2, "the kernel distance")
    size = min(SUBSET_SIZE, len(generated), len(real))
    subsets = 1 if size == len(generated) == len(real) else SUBSETS
    figures = kid_features_to_metric(
        generated, real, kid_subsets=subsets, kid_subset_size=size, rng_seed=seed, verbose=False
    )
    return figures[KEY_METRIC_KID_MEAN]


def _distance(sides: Sides) -> dict[str, float]:
    generated, real = (side.features.values / sides.scale for side in (sides.generated, sides.real))
    return {"kid": kernel_distance(generated, real, sides.seed)}


METRICS = (Metric("kid", _distance, "lower", "fast", enough=SUBSET_SIZE),)
