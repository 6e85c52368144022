"""The contract of a metric: a function of generated and real images, with its direction and its needs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from gancli.evaluation.image_set import ImageSet, TooFewImages, require

__all__ = ["GROUPS", "FeaturePath", "Metric", "Sides", "TooFewImages", "require"]

Better = Literal["lower", "higher", "as real"]
Group = Literal["fast", "standard", "full"]
GROUPS: tuple[Group, ...] = ("fast", "standard", "full")
"""Each group contains the metrics of those before it."""
FeaturePath = Callable[[int, int], tuple[Tensor, Tensor]]
"""A function of (number of steps, number of the set): features at both ends of short steps between latents, ``(n, d)``
each; see `metrics.smoothness`."""


@dataclass(frozen=True)
class Sides:
    """One set of generated images, and the real ones that it is compared with."""

    generated: ImageSet
    real: ImageSet
    """Held-out images, as many as generated ones."""
    train: ImageSet | None
    """All images that the generator may have memorised."""
    scale: float
    """Root mean square of the features of real images."""
    seed: int
    heldout: ImageSet | None = None
    """All held-out images, which contain ``real``."""
    unrelated: ImageSet | None = None
    """Training images as a stand-in for generated ones that copy no held-out image."""
    path: FeaturePath | None = None
    number: int = 0
    """Number of the generated set."""


@dataclass(frozen=True)
class Metric:
    """A metric: its computation, its direction and its needs."""

    name: str
    compute: Callable[[Sides], Mapping[str, float]]
    """Returns the metric's value, and those of metrics that are computed with it."""
    better: Better
    group: Group = "standard"
    """The smallest group that contains it."""
    fast_without_labels: bool = False
    """True if it is in the fast group for data without labels, whose features do not show what it measures."""
    distance: bool = False
    """True if it is 0 for equal images and above 0 for real ones, so that a multiple of the latter makes sense."""
    enough: int = 0
    """With fewer images there is a warning."""
    per_dimension: int = 0
    """The same per feature."""
    logits: bool = False
    """Needs a classifier."""
    pixels: bool = False
    """Needs pixels."""
    memory: bool = False
    """Needs training images; its baseline takes held-out images in place of generated ones."""
    unrelated: bool = False
    """Needs training images as a comparison that copies no held-out image."""
    latents: bool = False
    """Needs the generator; has no baseline."""
