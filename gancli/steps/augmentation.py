"""Augmentation of D's inputs as a function of (seed, step), with feedback from D's overfitting.

The feedback is part of the training state: float32 ``(3,)``, the probability p, and the sum and count of signs of D's
logits since p last changed.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from gancli.functional import augment
from gancli.machine.distributed import Group
from gancli.randomness import generator
from gancli.recipes.base import Batch


@dataclass(frozen=True)
class Augmentation:
    """Augments all of D's inputs, real and generated; draws do not depend on the number of processes."""

    policy: str
    """One of `gancli.recipes.base.Augmentation`."""
    seed: int
    batch_size: int
    """Images over all processes."""
    group: Group
    device: torch.device

    TARGET: ClassVar[float] = 0.6
    """Target of r_t = E[sign(D(x))]; above it D overfits. Karras 2020 (arXiv:2006.06676), section 3."""
    STEPS: ClassVar[int] = 4
    """Steps of D between changes of p."""
    IMAGES: ClassVar[dict[str, float]] = {"ada": 500_000.0, "diffusion": 100_000.0, "diffusion-uniform": 100_000.0}
    """Real images during which p can rise from 0 to 1, of the policies that adapt; the second as its authors' code."""

    @property
    def adapts(self) -> bool:
        """True if D's logits on real images change the augmentation."""
        return self.policy in self.IMAGES

    def draw(self, purpose: str, number: int, values: int) -> Tensor | None:
        """Uniform numbers ``(n, numbers)`` for this process's images of batch ``number`` for ``purpose``.

        Each image has so many ``values``.
        """
        if self.policy == "none":
            return None
        local = self.batch_size // self.group.world
        drawn = generator(self.seed, f"augment-{purpose}", number, device=self.device)
        numbers = {"diffaug": augment.DIFFAUG_NUMBERS, "ada": augment.ADA_NUMBERS}.get(
            self.policy, augment.DIFFUSION_NUMBERS + values
        )
        uniform = torch.rand(self.batch_size, numbers, generator=drawn, device=self.device)
        return uniform[self.group.rank * local :][:local]

    def __call__(self, batch: Batch, uniform: Tensor | None, feedback: Tensor, first: int = 0) -> Batch:
        """The batch with its images augmented by the drawn numbers.

        The batch may be a part of this process's batch that begins at image ``first``.
        """
        if uniform is None:
            return batch
        uniform = uniform[first:][: len(batch.images)]
        if self.policy == "diffaug":
            return replace(batch, images=augment.diffaug(batch.images, uniform))
        if self.policy == "ada":
            return replace(batch, images=augment.ada(batch.images, uniform, feedback[0]))
        images, timesteps = augment.diffusion(batch.images, uniform, feedback[0], self.policy == "diffusion")
        return replace(batch, images=images, timesteps=timesteps)

    def observe(self, feedback: Tensor, real_logits: Tensor, number: int) -> None:
        """Update the feedback by D's logits ``(n,)`` on real images after D's step ``number``.

        Logits are relative to D's border, see `Recipe.border_at_zero`.
        """
        if not self.adapts:
            return
        signs = real_logits.detach().float().sign().sum()
        feedback[1:] += self.group.total(torch.stack([signs, torch.full_like(signs, len(real_logits))]))
        if number % self.STEPS == self.STEPS - 1:
            p, signs, count = feedback.unbind()
            change = torch.sign(signs / count - self.TARGET) * self._largest_change
            feedback.copy_(torch.stack([(p + change).clamp(0, 1), torch.zeros_like(p), torch.zeros_like(p)]))

    @property
    def _largest_change(self) -> float:
        """By how much p changes at once."""
        return self.STEPS * self.batch_size / self.IMAGES[self.policy]
