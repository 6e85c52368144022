"""The choice of images to draw: numbers of a seed with their classes, or frames between them."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from gancli.sampling import latents
from gancli.sampling.drawing import default_labels


@dataclass(frozen=True)
class Selection:
    """Images of a generator."""

    numbers: Sequence[int]
    seed: int = 0
    labels: Sequence[int] | None = None
    """Class indices, one per number; None draws each class in turn."""
    truncation: float | None = None
    """Bound of the latents' values, or with styles their share of the way from the mean; None: no truncation."""
    frames: int = 1
    """Images on the way from each number to the next, and from the last to the first; see `latents.frames`."""

    @property
    def count(self) -> int:
        """Number of images."""
        return len(self.numbers) * self.frames

    def latents(self, latent_dim: int, places: range) -> Tensor:
        """Latents of the images at these places, float32 ``(len(places), latent_dim)``."""
        return latents.frames(self.numbers, self.frames, self.seed, latent_dim, places, self.truncation)

    def labels_at(self, places: range, classes: int) -> list[int] | None:
        """Class indices of the images at these places; None for a generator without classes."""
        chosen = default_labels(self.numbers, classes) if self.labels is None else self.labels
        return None if chosen is None else [chosen[place // self.frames] for place in places]
