"""The metric: a function of generated and real images, with what is needed to read its figures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from gancli.evaluation.image_set import ImageSet, TooFewImages, require

__all__ = ["GROUPS", "FeaturePath", "Metric", "Sides", "TooFewImages", "require"]

Better = Literal["lower", "higher", "as real"]
Group = Literal["fast", "standard", "full"]
GROUPS: tuple[Group, ...] = ("fast", "standard", "full")
"""Each has the metrics of those before it."""
FeaturePath = Callable[[int, int], tuple[Tensor, Tensor]]
"""Features at both ends of so many short steps between latents, ``(n, d)`` each, for a set's number; see
`metrics.smoothness`."""


@dataclass(frozen=True)
class Sides:
    """One set of generated images and the real ones it is compared with."""

    generated: ImageSet
    real: ImageSet
    """Held-out images, as many as generated ones."""
    train: ImageSet | None
    """All images that the generator may have learnt by heart."""
    scale: float
    """Root mean square of the features of real images."""
    seed: int
    heldout: ImageSet | None = None
    """All of those that ``real`` are some of."""
    unrelated: ImageSet | None = None
    """Training images in place of generated ones, which have no held-out images among them."""
    path: FeaturePath | None = None
    number: int = 0
    """Number of the generated set."""


@dataclass(frozen=True)
class Metric:
    """One figure: how it is computed, which way is better, and what it needs."""

    name: str
    compute: Callable[[Sides], Mapping[str, float]]
    """Gives this figure, and others that come with it."""
    better: Better
    group: Group = "standard"
    """The smallest group that has it."""
    fast_without_labels: bool = False
    """In the fast group too where there are no labels, since random features are blind to what it sees."""
    distance: bool = False
    """0 for equal images and above 0 for real ones, so that a multiple of the real figure can be read."""
    enough: int = 0
    """Images below which a warning is due."""
    per_dimension: int = 0
    """Likewise, for each feature."""
    logits: bool = False
    """Needs a classifier."""
    pixels: bool = False
    """Computed on the images themselves."""
    memory: bool = False
    """Needs the training images; the baseline is held-out images in place of the generated."""
    unrelated: bool = False
    """Needs training images that have nothing to do with the held-out ones."""
    latents: bool = False
    """Needs the generator; there is no real figure to compare it with."""
