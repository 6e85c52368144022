"""Difference in brightness and contrast, which normalised patches and many extractors ignore."""

import torch
from torch import Tensor

from gancli.evaluation.metrics.base import Metric, Sides, require

LEVELS = 256
BATCH = 1024


def tone_distance(generated: Tensor, real: Tensor) -> float:
    """Wasserstein-1 distance between the distributions of pixel values, in levels of 255.

    ``W1 = sum_v |F(v) - G(v)|`` over the values v, with the distribution functions F of generated and G of real
    pixels, averaged over channels.

    Args:
        generated: uint8 ``(N, C, H, W)``.
        real: uint8 ``(M, C, H, W)``.

    Returns:
        From 0 for equal distributions to 255.

    Raises:
        TooFewImages: without images on a side.

    Example:
        >>> grey = torch.full((2, 3, 4, 4), 100, dtype=torch.uint8)
        >>> tone_distance(grey + 7, grey)
        7.0
    """
    return _distance(_distribution_function(generated), _distribution_function(real))


def _distance(f: Tensor, g: Tensor) -> float:
    return (f - g).abs().sum(1).mean().item()


def _distribution_function(images: Tensor) -> Tensor:
    """Share of pixels up to each value, by channel: float64 ``(C, 256)``."""
    require(len(images), 1, "the distance of tones")
    counts = torch.stack([_counts(part) for part in images.split(BATCH)]).sum(0)
    return (counts / counts.sum(1, keepdim=True)).cumsum(1)


def _counts(images: Tensor) -> Tensor:
    """Number of pixels of each value, by channel: float64 ``(C, 256)``."""
    return torch.stack([torch.bincount(channel.flatten(), minlength=LEVELS).double() for channel in images.unbind(1)])


def _of_sides(sides: Sides) -> dict[str, float]:
    generated, real = sides.generated.pixels, sides.real.pixels
    assert generated is not None and real is not None
    known = sides.real.once("tone", lambda: _distribution_function(real))
    return {"tone": _distance(_distribution_function(generated), known)}


METRICS = (
    Metric("tone", _of_sides, "lower", fast_without_labels=True, distance=True, enough=200, pixels=True),
)  # fmt: skip
