"""Sliced Wasserstein distance of patches on a Laplacian pyramid: what a label-trained extractor is blind to."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, normalize

from gancli.evaluation.metrics.base import Metric, Sides, TooFewImages, require
from gancli.randomness import generator

PATCH = 7
PATCHES = 2**16
"""Of a level, taken from all images alike."""
MOST_IN_IMAGE = 64
DIRECTIONS = 128
SMALLEST_SIDE = 16
MOST_IMAGES = 8192


def sliced_wasserstein(generated: Tensor, real: Tensor, seed: int = 0) -> float:
    """Mean over the levels of a Laplacian pyramid of 1000 times the sliced Wasserstein distance of 7x7 patches.

    Images are uint8 ``(N, C, H, W)``, equally many on both sides; the first 8192 are used. Levels go down to 16
    pixels a side. Patches of a level are normalised per channel by their own mean and deviation, projected onto 128
    random directions, sorted, and subtracted: Karras et al. 2018 (arXiv:1710.10196), section 5, with fewer patches
    and average pooling for the pyramid's filter. UsageError for no images or sides below 7 pixels.
    """
    count = min(len(generated), len(real), MOST_IMAGES)
    require(count, 1, "the sliced Wasserstein distance")
    if min(real.shape[2:]) < PATCH:
        height, width = real.shape[2:]
        raise TooFewImages(f"images of {height}x{width} pixels are too small for swd, whose patches are 7x7.")
    sides = [images[:count].float() / 127.5 - 1 for images in (generated, real)]
    found, level = [], 0
    while min(sides[0].shape[2:]) >= 2 * SMALLEST_SIDE:
        smaller = [avg_pool2d(images, 2) for images in sides]
        details = [
            images - interpolate(small, images.shape[2:], mode="bilinear")
            for images, small in zip(sides, smaller, strict=True)
        ]
        found.append(_distance(details[0], details[1], seed, level))
        sides, level = smaller, level + 1
    found.append(_distance(sides[0], sides[1], seed, level))
    return 1000 * sum(found) / len(found)


def _distance(a: Tensor, b: Tensor, seed: int, level: int) -> float:
    """Of one level, images ``(N, C, H, W)``."""
    per_image = max(1, min(MOST_IN_IMAGE, PATCHES // len(a)))
    patches = [_patches(images, per_image, seed, level) for images in (a, b)]
    drawn = generator(seed, "swd-directions", level)
    directions = normalize(torch.randn(patches[0].shape[1], DIRECTIONS, generator=drawn), dim=0)
    ours, theirs = ((side @ directions).sort(0).values for side in patches)
    return (ours - theirs).abs().mean(dtype=torch.float64).item()


def _patches(images: Tensor, per_image: int, seed: int, level: int) -> Tensor:
    """Random normalised patches, float32 ``(N * per_image, C * 49)``; their places depend on the seed alone."""
    count, channels, height, width = images.shape
    drawn = generator(seed, "swd-patches", level)
    top = torch.randint(height - PATCH + 1, (count, per_image, 1, 1, 1), generator=drawn)
    left = torch.randint(width - PATCH + 1, (count, per_image, 1, 1, 1), generator=drawn)
    offsets = torch.arange(PATCH)
    patches = images[
        torch.arange(count)[:, None, None, None, None],
        torch.arange(channels)[:, None, None],
        top + offsets[:, None],
        left + offsets,
    ].flatten(0, 1)
    spread = patches.std((0, 2, 3), keepdim=True).clamp_min(1e-8)
    return ((patches - patches.mean((0, 2, 3), keepdim=True)) / spread).flatten(1)


def _of_sides(sides: Sides) -> dict[str, float]:
    assert sides.generated.pixels is not None and sides.real.pixels is not None
    return {"swd": sliced_wasserstein(sides.generated.pixels, sides.real.pixels, sides.seed)}


METRICS = (Metric("swd", _of_sides, "lower", "standard", enough=1000, pixels=True),)
