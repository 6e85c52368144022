"""How bright and how contrasty pixels are: what neither normalised patches nor a tolerant extractor tell."""

import torch
from torch import Tensor

from gancli.evaluation.metrics.base import Metric, Sides, require

LEVELS = 256


def tone_distance(generated: Tensor, real: Tensor) -> float:
    """Wasserstein-1 distance of the pixels' values, in levels of 255, the mean over channels.

    ``sum |F(v) - G(v)|`` over the values v, with the distribution functions F and G. Images are uint8
    ``(N, C, H, W)``; UsageError for none.
    """
    require(min(len(generated), len(real)), 1, "the distance of tones")
    ours, theirs = (_distribution(images) for images in (generated, real))
    return (ours - theirs).abs().sum(1).mean().item()


def _distribution(images: Tensor) -> Tensor:
    """Of each channel the shares of pixels up to each value: ``(C, 256)``."""
    counts = torch.stack([torch.bincount(channel.flatten(), minlength=LEVELS).double() for channel in images.unbind(1)])
    return (counts / counts.sum(1, keepdim=True)).cumsum(1)


def _of_sides(sides: Sides) -> dict[str, float]:
    assert sides.generated.pixels is not None and sides.real.pixels is not None
    return {"tone": tone_distance(sides.generated.pixels, sides.real.pixels)}


METRICS = (Metric("tone", _of_sides, "lower", "standard", enough=200, pixels=True),)
