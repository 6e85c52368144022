"""Sliced Wasserstein distance of patches of a Laplacian pyramid, which detects noise and blur."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, normalize

from gancli.evaluation.metrics.base import Metric, Sides, TooFewImages, require
from gancli.randomness import generator

PATCH = 7
MAX_PATCHES = 2**16
"""Patches per level, the same number from each image."""
MAX_IN_IMAGE = 64
"""Patches per level and image."""
DIRECTIONS = 128
MIN_SIDE = 16
"""Smallest side of a level."""
MAX_IMAGES = 8192


def sliced_wasserstein(generated: Tensor, real: Tensor, seed: int = 0) -> float:
    """1000 times the sliced Wasserstein distance of 7x7 patches, averaged over a Laplacian pyramid's levels.

    Karras et al. 2018 (arXiv:1710.10196), section 5. For the patches of a level, with N of them on each side,

        SWD = E_theta 1/N sum_i |s_i - t_i|,

    where s and t are the sorted projections of both sides onto a random direction theta. Patches are normalised per
    channel by the mean and deviation of their side.

    Differs from the paper:

    - 128 directions and at most 65,536 patches a level;
    - average pooling instead of the pyramid's Gaussian filter;
    - images under 32 pixels have one level, the images themselves.

    Args:
        generated: uint8 ``(N, C, H, W)``; the first 8192 are used.
        real: as many images of the same shape.
        seed: of the patches' places and the directions.

    Returns:
        0 for equal sets; for two sets of real images it falls with N.

    Raises:
        TooFewImages: for no images, or sides below 7 pixels.

    Example:
        >>> images = torch.randint(0, 256, (50, 1, 8, 8), dtype=torch.uint8)
        >>> sliced_wasserstein(images, images)
        0.0
    """
    count = min(len(generated), len(real), MAX_IMAGES)
    require(count, 1, "the sliced Wasserstein distance")
    ours, theirs = (sorted_projections(images[:count], seed) for images in (generated, real))
    return _distance(ours, theirs)


def sorted_projections(images: Tensor, seed: int = 0) -> Tensor:
    """Patches of each pyramid level, projected onto random directions and sorted: float32 ``(levels, P, 128)``.

    ``images`` are uint8 ``(N, C, H, W)``; P is at most 65,536. TooFewImages for sides below 7 pixels.
    """
    if min(images.shape[2:]) < PATCH:
        height, width = images.shape[2:]
        raise TooFewImages(f"images of {height}x{width} pixels are too small for swd, whose patches are 7x7.")
    return torch.stack([_projected(level, seed, number) for number, level in enumerate(_pyramid(images))])


def _distance(ours: Tensor, theirs: Tensor) -> float:
    levels = [(s - t).abs().mean(dtype=torch.float64).item() for s, t in zip(ours, theirs, strict=True)]
    return 1000 * sum(levels) / len(levels)


def _pyramid(images: Tensor) -> list[Tensor]:
    """Levels of the Laplacian pyramid, the finest first; the last is the small image itself."""
    levels, image = [], images.float() / 127.5 - 1
    while min(image.shape[2:]) >= 2 * MIN_SIDE:
        smaller = avg_pool2d(image, 2)
        levels.append(image - interpolate(smaller, image.shape[2:], mode="bilinear"))
        image = smaller
    return [*levels, image]


def _projected(images: Tensor, seed: int, level: int) -> Tensor:
    patches = _patches(images, max(1, min(MAX_IN_IMAGE, MAX_PATCHES // len(images))), seed, level)
    drawn = generator(seed, "swd-directions", level)
    directions = normalize(torch.randn(patches.shape[1], DIRECTIONS, generator=drawn), dim=0)
    return (patches @ directions).sort(0).values


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
    generated, real = sides.generated.pixels, sides.real.pixels
    assert generated is not None and real is not None
    count = min(len(generated), len(real), MAX_IMAGES)
    require(count, 1, "the sliced Wasserstein distance")
    ours = sorted_projections(generated[:count], sides.seed)
    theirs = sides.real.once(f"swd {sides.seed} {count}", lambda: sorted_projections(real[:count], sides.seed))
    return {"swd": _distance(ours, theirs)}


METRICS = (
    Metric("swd", _of_sides, "lower", fast_without_labels=True, distance=True, enough=1000, pixels=True),
)  # fmt: skip
