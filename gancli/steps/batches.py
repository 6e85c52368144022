"""Real images, latents and labels of a step, on the device: functions of (seed, step)."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from gancli.machine import devices
from gancli.randomness import generator
from gancli.recipes.base import Batch


@dataclass
class ResidentImages:
    """A training set in an order that is a function of (seed, epoch), usually on the device.

    A batch may contain the end of one epoch and the beginning of the next. Each process takes the rows of its rank.
    """

    images: Tensor
    """``(N, C, H, W)``: uint8, or float in [-1, 1]."""
    labels: Tensor | None
    """Classes int64 ``(N,)``, or conditions float32 ``(N, K)``."""
    batch_size: int
    """Images over all processes."""
    seed: int
    rank: int = 0
    world: int = 1
    mirror: bool = False
    """Flip each image left to right with probability 1/2."""
    _orders: dict[int, Tensor] = field(default_factory=dict)

    def batch(self, number: int) -> Batch:
        """Real batch ``number`` of the run, float in [-1, 1]."""
        return self.finished(*self.gathered(number), number)

    def gathered(self, number: int) -> tuple[Tensor, Tensor | None]:
        """Images and labels of a batch, as stored."""
        rows = self._indices(number)
        return self.images[rows], None if self.labels is None else self.labels[rows]

    def finished(self, images: Tensor, labels: Tensor | None, number: int) -> Batch:
        """A gathered batch as floats in [-1, 1], mirrored if set; on the device of ``images``."""
        if images.dtype == torch.uint8:
            images = images.float().div_(127.5).sub_(1)
        return Batch(self._mirrored(images, number) if self.mirror else images, labels)

    def _mirrored(self, images: Tensor, number: int) -> Tensor:
        """Flips are drawn on the CPU for the whole batch, so they do not depend on devices or processes."""
        start = self.rank * len(images)
        drawn = torch.rand(self.batch_size, generator=generator(self.seed, "mirror", number))
        flips = devices.sent(drawn[start : start + len(images)] < 0.5, images.device)
        return torch.where(flips[:, None, None, None], images.flip(3), images)

    def _indices(self, number: int) -> Tensor:
        local = self.batch_size // self.world
        start = number * self.batch_size + self.rank * local
        epoch, place = divmod(start, len(self.images))
        rows = self._order(epoch)[place : place + local]
        while len(rows) < local:
            epoch += 1
            rows = torch.cat([rows, self._order(epoch)[: local - len(rows)]])
        return rows

    def _order(self, epoch: int) -> Tensor:
        if epoch not in self._orders:
            order = torch.randperm(len(self.images), generator=generator(self.seed, "order", epoch))
            kept = {e: o for e, o in self._orders.items() if e == epoch - 1}
            self._orders = kept | {epoch: devices.sent(order, self.images.device)}
        return self._orders[epoch]


@dataclass(frozen=True)
class Draws:
    """Random inputs of a step, a function of (seed, step); also the inputs of a compiled step."""

    real: list[Batch]
    """A batch for each step of D, not yet augmented."""
    fake: list[tuple[Tensor, Tensor | None]]
    """(latents, labels) for each step of D (none if simultaneous), then for G's step (none if it reuses D's)."""
    real_uniform: list[Tensor | None]
    """Uniform numbers for augmenting each of ``real``; None without augmentation."""
    fake_uniform: list[Tensor | None]
    """The same for ``fake``."""


@dataclass(frozen=True)
class Noise:
    """Latents and labels of generated images: float32 ``(n, latent_dim)`` from N(0, I), labels uniform over classes.

    Conditions are those of training images, so that combinations are real ones.
    """

    latent_dim: int
    classes: int
    """0: no labels."""
    batch_size: int
    """Images over all processes."""
    seed: int
    device: torch.device
    rank: int = 0
    world: int = 1
    conditions: Tensor | None = None
    """float32 ``(N, K)``, those of the training images; None: classes, or no labels."""

    def draw(self, purpose: str, number: int) -> tuple[Tensor, Tensor | None]:
        """Latents and labels for one purpose (G's step, D's step) and number."""
        drawn = generator(self.seed, purpose, number, device=self.device)
        local = self.batch_size // self.world
        rows = slice(self.rank * local, (self.rank + 1) * local)
        latents = torch.randn(self.batch_size, self.latent_dim, generator=drawn, device=self.device)[rows]
        choices = self.classes if self.conditions is None else len(self.conditions)
        if not choices:
            return latents, None
        labels = torch.randint(choices, (self.batch_size,), generator=drawn, device=self.device)[rows]
        return latents, labels if self.conditions is None else self.conditions[labels]
