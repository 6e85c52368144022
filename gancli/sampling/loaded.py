"""A generator as a Python object, the result of ``gancli.load``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gancli.config.sample_command import Sampling
from gancli.config.spelling import naming_keywords
from gancli.config.values import COMMAND_LINE, build
from gancli.data.conditions import default_labels
from gancli.randomness import numbered_latents
from gancli.sampling import rendering
from gancli.sampling.drawing import draw_latents
from gancli.sampling.generator import LoadedGenerator, labels_of
from gancli.sampling.plan import plan_drawing
from gancli.sampling.stamping import Stamp

SHOWN = 64
"""Number of images that a notebook shows."""


@dataclass(frozen=True, repr=False)
class Generator:
    """A loaded generator. A notebook shows a grid of its images.

    >>> generator = gancli.load("gen.pth")  # doctest: +SKIP
    >>> generator.draw(16, seed=3).shape  # doctest: +SKIP
    torch.Size([16, 1, 8, 8])
    """

    path: Path
    """The file it was read from."""
    loaded: LoadedGenerator

    @property
    def module(self) -> nn.Module:
        """The network: ``module(latents, labels)`` gives float images in [-1, 1].

        Labels are None, classes int64 ``(N,)``, or standardised conditions float32 ``(N, K)``.
        """
        return self.loaded.network

    @property
    def latent_dim(self) -> int:
        """Number of values of a latent."""
        return self.loaded.latent_dim

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; empty for an unconditional generator."""
        return self.loaded.classes

    @property
    def conditions(self) -> dict[str, tuple[float, float]]:
        """Least and largest value that training pictures had of each condition; empty if it draws by none."""
        return self.loaded.ranges

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        return self.loaded.file.origin.spec.shape

    @property
    def recipe(self) -> str:
        """Name of the recipe."""
        return self.loaded.file.origin.recipe

    @property
    def data(self) -> str:
        """Name or path of the data that it was trained on."""
        return self.loaded.file.origin.data

    @property
    def steps(self) -> int:
        """Number of training steps."""
        return self.loaded.file.steps

    def latents(self, n: int = 64, *, seed: int = 0) -> Tensor:
        """The latents of the first ``n`` images of a seed, float32 ``(n, latent_dim)``, from N(0, I)."""
        return numbered_latents(seed, range(n), self.latent_dim)

    def draw(self, n: int = 64, **keywords: Any) -> Tensor:
        """Images, uint8 ``(n, C, H, W)``, or points, float32 ``(n, 2, 1, 1)``, on the CPU.

        Keywords are those of `gancli.sample`: seed, seeds, classes, condition, trunc, interpolate, batch_size.
        """
        with naming_keywords(Sampling):
            told = build(Sampling, {"ckpt": self.path, "n": n} | keywords, COMMAND_LINE)
            return torch.cat(list(plan_drawing(told, lambda: self.loaded).batches))

    def draw_from(self, latents: Tensor, classes: Sequence[str] | None = None) -> Tensor:
        """Images for latents ``(n, latent_dim)``, as from `draw`; ``classes`` has one name per latent."""
        labels = default_labels(range(len(latents)), self.loaded.choices)
        if classes is not None:
            labels = labels_of(self.loaded, classes, len(latents))
        return draw_latents(self.module, latents, labels, self.loaded.file.origin.spec.point_scale)

    def __str__(self) -> str:
        channels, height, width = self.shape
        classes = f", {len(self.classes)} classes" if self.classes else ""
        conditions = f", conditions {', '.join(self.conditions)}" if self.conditions else ""
        shape = f"{channels} x {height} x {width}"
        return f"{self.recipe} of {self.data}: {shape}{classes}{conditions}, after {self.steps:,} steps"

    def __repr__(self) -> str:
        return f"<Generator {self.path}: {self}>"

    def _repr_png_(self) -> bytes:
        """A grid for a notebook."""
        plan = plan_drawing(Sampling(self.path, n=SHOWN), lambda: self.loaded)
        return rendering.as_file(rendering.sheet(torch.cat([*plan.batches])), stamp=Stamp(plan.mark))
