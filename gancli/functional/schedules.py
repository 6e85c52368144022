"""Values that change along a training, and the lengths of its stages."""

import math
from collections.abc import Sequence


def lazy_share(interval: int) -> float:
    """The factor c = k / (k + 1) of Adam's learning rate, and exponent of its decays, with a lazy term each k steps.

    Karras 2020 (arXiv:1912.04958), appendix B: k + 1 steps then move the weights as k steps did. 1 without lazy terms.

    Example:
        >>> lazy_share(0), lazy_share(4)
        (1.0, 0.8)
    """
    return interval / (interval + 1) if interval else 1.0


def ramped_half_life(half_life: float, images: float, ramp: float = 0.05) -> float:
    """An EMA half-life that grows to its full value, so that the average soon forgets early weights.

    Both are in images of G's steps, fewer than D's if D takes several. From StyleGAN2-ADA's code (Karras et al. 2020,
    arXiv:2006.06676, ``ema_rampup``).

    Example:
        >>> ramped_half_life(10_000, images=1000), ramped_half_life(10_000, images=10**6)
        (50.0, 10000)
    """
    return min(half_life, ramp * images)


def steps_of_stages(
    seconds: float, stage_seconds: Sequence[float], given: Sequence[int], shares: Sequence[float]
) -> list[int]:
    """Steps of each stage that fit into a time.

    Those that are ``given``, where they are not 0; else by the stage's share of the time that is left. The last stage
    takes the rest.

    Example:
        >>> steps_of_stages(100, [1.0, 2.0, 0.5], given=[0, 10, 0], shares=[0.5, 0.3, 0.2])
        [50, 10, 60]
    """
    steps, left = list[int](), seconds
    for place, (each, wanted) in enumerate(zip(stage_seconds, given, strict=True)):
        share = shares[place] / sum(shares[place : len(stage_seconds)])
        steps.append(wanted or max(1, int(share * left / each)))
        left -= steps[-1] * each
    return steps


def half_cosine(first: float, last: float, done: float) -> float:
    """A value on a half cosine from ``first`` to ``last``; ``done`` is the share of the way, at most 1.

    Example:
        >>> half_cosine(1.0, 0.5, done=0.5)
        0.75
    """
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
