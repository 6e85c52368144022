"""The choice of images to draw: numbers of a seed with their labels, or frames between them."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from gancli.data.conditions import Label, default_labels
from gancli.sampling import latents


@dataclass(frozen=True)
class Selection:
    """Images of a generator."""

    numbers: Sequence[int]
    seed: int = 0
    labels: Sequence[Label] | None = None
    """Classes or conditions, one per number; None draws each choice in turn."""
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

    def labels_at(self, places: range, choices: Sequence[Label]) -> list[Label] | None:
        """Labels of the images at these places; None for an unconditional generator, which has no ``choices``."""
        chosen = default_labels(self.numbers, choices) if self.labels is None else self.labels
        return None if chosen is None else [chosen[place // self.frames] for place in places]
