"""Generated images that are single real ones over again: of training, moved or mirrored, or of the held-out ones."""

from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor

from gancli.evaluation import distances
from gancli.evaluation.image_set import ImageSet, thumbnails
from gancli.evaluation.metrics.base import Metric, Sides, require

STANDS_OUT = 0.01
"""Share of unrelated images that stand out like what is called a copy."""
MOVED_SIDE = 8
"""Of the thumbnails that moved copies are looked for by."""
MOST_MOVED = 2000
"""Images of a set that are looked for among training images in each of their places."""
SHIFTS = tuple(product((-1, 0, 1), repeat=2))


def copies(generated: Tensor, unrelated: Tensor) -> float:
    """Share of generated images nearer to one real image alone than 99 % of unrelated ones are.

    Distances to the two nearest of those images, ``(N, 2)`` and ``(M, 2)``. It is their ratio that tells: a copy, even
    with noise on it, is much nearer to its original than to the next one.
    """
    return _share(_ratios(generated), _ratios(unrelated))


def _ratios(apart: Tensor) -> Tensor:
    return apart[:, 0] / apart[:, 1].clamp_min(1e-12)


def _share(ours: Tensor, theirs: Tensor) -> float:
    require(min(len(ours), len(theirs)), 1, "a comparison of copies")
    return (ours <= theirs.quantile(STANDS_OUT)).double().mean().item()


def moved(images: Tensor) -> Iterator[Tensor]:
    """The images ``(N, C, H, W)`` shifted by up to a pixel each way, and mirrored; nine and one as they are not."""
    for shift in SHIFTS:
        yield images.roll(shift, (2, 3))
    yield images.flip(3)


def moved_ratios(images: Tensor, real: Tensor) -> Tensor:
    """Least ratio of the distances to the two nearest of ``real`` over the places of each image, ``(N,)``.

    Both are uint8 ``(N, C, H, W)``.
    """
    known = thumbnails(real, MOVED_SIDE)
    found = [_ratios(distances.nearest(thumbnails(each, MOVED_SIDE), known, 2)[0]) for each in moved(images)]
    return torch.stack(found).amin(0)


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
    return images.once("moved copies", lambda: moved_ratios(some[:MOST_MOVED], real))


def _leaks(sides: Sides) -> dict[str, float]:
    assert sides.unrelated is not None and sides.heldout is not None
    known = sides.heldout
    return {"leaks": copies(*(s.nearest_in(known, "pixels")[0] for s in (sides.generated, sides.unrelated)))}


METRICS = (
    Metric("copies", _copies, "lower", "standard", enough=200, memory=True, pixels=True),
    Metric("moved_copies", _moved, "lower", "standard", enough=200, memory=True, pixels=True),
    Metric("leaks", _leaks, "lower", "standard", enough=200, unrelated=True, pixels=True),
)
