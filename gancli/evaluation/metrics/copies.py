"""Copies of real images: of training images, also shifted or mirrored, or of held-out ones."""

from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor

from gancli.evaluation import distances
from gancli.evaluation.image_set import ImageSet, thumbnails
from gancli.evaluation.metrics.base import Metric, Sides, require

STANDS_OUT = 0.01
"""Share of unrelated images that the threshold counts as copies."""
MOVED_SIDE = 8
"""Side of the thumbnails for moved copies."""
MAX_MOVED = 2000
"""Number of images that are compared in all their shifts."""
SHIFTS = tuple(product((-1, 0, 1), repeat=2))


def copies(generated: Tensor, unrelated: Tensor) -> float:
    """Share of generated images that are nearer to a single real image than 99 % of unrelated images are.

    The criterion is the ratio d_1 / d_2 of the distances to the two nearest real images: a copy, even a noisy one, is
    much nearer to its original than to the next image.

    Args:
        generated: Distances d_1 and d_2 ``(N, 2)``.
        unrelated: The same for images that are not copies ``(M, 2)``; the 1 % quantile is the threshold.

    Raises:
        TooFewImages: without images on a side.

    Example:
        >>> unrelated, copied = torch.tensor([[8.0, 10.0]] * 100), torch.tensor([[1.0, 10.0]] * 5)
        >>> copies(copied, unrelated)
        1.0
    """
    return _share(_ratios(generated), _ratios(unrelated))


def _ratios(apart: Tensor) -> Tensor:
    return apart[:, 0] / apart[:, 1].clamp_min(1e-12)


def _share(ours: Tensor, theirs: Tensor) -> float:
    require(min(len(ours), len(theirs)), 1, "a comparison of copies")
    return (ours <= theirs.quantile(STANDS_OUT)).double().mean().item()


def moved(images: Tensor) -> Iterator[Tensor]:
    """Yield images ``(N, C, H, W)`` in ten versions: nine shifts by up to a pixel each way, and mirrored.

    Example:
        >>> sum(1 for _ in moved(torch.zeros(1, 1, 4, 4)))
        10
    """
    for shift in SHIFTS:
        yield images.roll(shift, (2, 3))
    yield images.flip(3)


def moved_ratios(images: Tensor, real: Tensor) -> Tensor:
    """The smallest ratio d_1 / d_2 over the versions of each image, see `moved`: float64 ``(N,)``.

    ``images`` and ``real`` are uint8 ``(N, C, H, W)`` and ``(M, C, H, W)``.

    Example:
        >>> real = torch.randint(0, 256, (9, 1, 8, 8), generator=torch.Generator().manual_seed(0)).byte()
        >>> round(moved_ratios(real[:1].flip(3), real).item(), 4)  # the mirror image of a real one
        0.0
    """
    known = thumbnails(real, MOVED_SIDE)
    ratios = [_ratios(distances.nearest(thumbnails(each, MOVED_SIDE), known, 2)[0]) for each in moved(images)]
    return torch.stack(ratios).amin(0)


def _copies(sides: Sides) -> dict[str, float]:
    assert sides.train is not None
    return {"copies": copies(*(s.nearest_in(sides.train, "pixels")[0] for s in (sides.generated, sides.real)))}


def _moved(sides: Sides) -> dict[str, float]:
    assert sides.train is not None
    pixels = sides.train.pixels
    assert pixels is not None
    require(len(pixels), 2, "a comparison with training images")
    return {"moved_copies": _share(*(_moved_ratios(side, pixels) for side in (sides.generated, sides.real)))}


def _moved_ratios(images: ImageSet, real: Tensor) -> Tensor:
    some = images.pixels
    assert some is not None
    return images.once("moved copies", lambda: moved_ratios(some[:MAX_MOVED], real))


def _leaks(sides: Sides) -> dict[str, float]:
    assert sides.unrelated is not None and sides.heldout is not None
    known = sides.heldout
    return {"leaks": copies(*(s.nearest_in(known, "pixels")[0] for s in (sides.generated, sides.unrelated)))}


METRICS = (
    Metric("copies", _copies, "lower", "standard", enough=200, memory=True, pixels=True),
    Metric("moved_copies", _moved, "lower", "standard", enough=200, memory=True, pixels=True),
    Metric("leaks", _leaks, "lower", "standard", enough=200, unrelated=True, pixels=True),
)
