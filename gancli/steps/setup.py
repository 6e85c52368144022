"""All of a training step that never changes: what every way of doing it is given."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Protocol

import torch

from gancli import whole_batch
from gancli.machine.distributed import Group
from gancli.recipes.base import Batch, Rates, Recipe
from gancli.steps.augmentation import Augmentation
from gancli.steps.batches import Draws, Noise
from gancli.steps.outcome import Outcome
from gancli.steps.state import TrainState

AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


class RealImages(Protocol):
    """Where real batches come from."""

    def batch(self, number: int) -> Batch:
        """Real batch ``number`` of the run."""
        ...


@dataclass(frozen=True)
class Setup:
    """The recipe and what surrounds it."""

    recipe: Recipe
    real: RealImages
    noise: Noise
    precision: str = "fp32"
    group: Group = Group()  # noqa: RUF009 - frozen
    augmentation: str = "none"
    best_share: Callable[[int], float] = lambda images_seen: 1.0
    """Share of the fakes, those with D's highest logits, that G learns from; a function of the images seen that never
    grows (top-k training)."""
    rate_scale: float = 1.0
    """Factor of both learning rates; less than 1 after a rollback."""
    average_is_new: bool = True
    """Whether the average starts from new weights, which it forgets soon; False: from those of an earlier run."""
    accumulate: int = 1
    """Parts that a batch is worked through in, one after the other; see `accumulation.obstacle`."""

    @cached_property
    def augment(self) -> Augmentation:
        """What D sees in place of images."""
        return Augmentation(
            self.augmentation, self.noise.seed, self.noise.batch_size, self.group, device=self.noise.device
        )

    @property
    def parts(self) -> list[slice]:
        """The rows of each part of this process's batch; their sizes differ by one image at most."""
        images = self.noise.batch_size // self.noise.world
        bounds = [images * part // self.accumulate for part in range(self.accumulate + 1)]
        return [slice(first, last) for first, last in pairwise(bounds)]

    def whole_batches(self) -> AbstractContextManager[None]:
        """Losses, penalties and layers in it give what one process would give for the batches of all of them."""
        images = self.noise.batch_size // self.noise.world
        return whole_batch.shared(self.group.rank, self.group.world, images)

    def images_seen(self, step: int) -> int:
        """Real images that D has trained on before this step, over all processes."""
        return step * self.recipe.d_steps * self.noise.batch_size

    def autocast(self) -> AbstractContextManager[None]:
        """Forward passes in it have this precision."""
        dtype = AUTOCAST.get(self.precision)
        return nullcontext() if dtype is None else torch.autocast(self.noise.device.type, dtype)

    def rates(self, step: int) -> Rates:
        """The recipe's rates at this step, after rollbacks and with the average that goes on."""
        rates = self.recipe.schedule(self.images_seen(step))
        if self.rate_scale != 1:
            rates = replace(rates, g_lr=self.rate_scale * rates.g_lr, d_lr=self.rate_scale * rates.d_lr)
        return rates if self.average_is_new else replace(rates, ema_half_life=self.recipe.ema_half_life)

    def draws(self, step: int) -> Draws:
        """All that this step draws but what layers draw, from torch's global generator."""
        numbers = range(step * self.recipe.d_steps, (step + 1) * self.recipe.d_steps)
        fakes = [] if self.recipe.simultaneous else [("d", number) for number in numbers]
        if self.recipe.simultaneous or not self.recipe.reuses_fakes:
            fakes.append(("g", step))
        return Draws(
            real=[self.real.batch(number) for number in numbers],
            fake=[self.noise.draw(*place) for place in fakes],
            real_uniform=[self.augment.draw("real", number) for number in numbers],
            fake_uniform=[self.augment.draw(*place) for place in fakes],
        )


Update = Callable[[Setup, TrainState, Draws, Rates], Outcome]
"""Changes both networks, what their optimizers remember, and the average, as one step does.

A function of what it is given alone. All ways to take a step have this signature.
"""
