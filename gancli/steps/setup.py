"""The constant arguments of a training step, whichever way it is computed."""

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
    """A source of real batches."""

    def batch(self, number: int) -> Batch:
        """Real batch ``number`` of the run."""
        ...


@dataclass(frozen=True)
class Setup:
    """The recipe, its data and how a step is computed."""

    recipe: Recipe
    real: RealImages
    noise: Noise
    precision: str = "fp32"
    group: Group = Group()  # noqa: RUF009 - frozen
    augmentation: str = "none"
    best_share: Callable[[int], float] = lambda images_seen: 1.0
    """Share of fakes with D's highest logits that G learns from (top-k training): a function of the images seen that
    never grows."""
    rate_scale: float = 1.0
    """Factor of both learning rates; less than 1 after a rollback."""
    average_is_new: bool = True
    """True if the average starts from new weights, which it forgets soon; False: from those of an earlier run."""
    accumulate: int = 1
    """Number of parts in which a batch is processed; see `accumulation.obstacle`."""

    @cached_property
    def augment(self) -> Augmentation:
        """Augmentation of D's inputs."""
        return Augmentation(
            self.augmentation, self.noise.seed, self.noise.batch_size, self.group, device=self.noise.device
        )

    @property
    def parts(self) -> list[slice]:
        """The rows of each part of this process's batch; sizes differ by at most one image."""
        images = self.noise.batch_size // self.noise.world
        bounds = [images * part // self.accumulate for part in range(self.accumulate + 1)]
        return [slice(first, last) for first, last in pairwise(bounds)]

    def whole_batches(self) -> AbstractContextManager[None]:
        """In this context, losses, penalties and layers act on the whole batch of all processes."""
        images = self.noise.batch_size // self.noise.world
        return whole_batch.shared(self.group.rank, self.group.world, images)

    def images_seen(self, step: int) -> int:
        """Real images that D has trained on before this step, in all processes."""
        return step * self.recipe.d_steps * self.noise.batch_size

    def autocast(self) -> AbstractContextManager[None]:
        """In this context, forward passes have the run's precision."""
        dtype = AUTOCAST.get(self.precision)
        return nullcontext() if dtype is None else torch.autocast(self.noise.device.type, dtype)

    def rates(self, step: int) -> Rates:
        """The rates at this step: the recipe's, adapted to rollbacks and to a continued average."""
        rates = self.recipe.schedule(self.images_seen(step))
        if self.rate_scale != 1:
            rates = replace(rates, g_lr=self.rate_scale * rates.g_lr, d_lr=self.rate_scale * rates.d_lr)
        return rates if self.average_is_new else replace(rates, ema_half_life=self.recipe.ema_half_life)

    def draws(self, step: int) -> Draws:
        """The random inputs of this step; layers draw theirs from torch's global generator."""
        numbers = range(step * self.recipe.d_steps, (step + 1) * self.recipe.d_steps)
        fakes = [] if self.recipe.simultaneous else [("d", number) for number in numbers]
        if self.recipe.simultaneous or not self.recipe.reuses_fakes:
            fakes.append(("g", step))
        real = [self.real.batch(number) for number in numbers]
        values = real[0].images[0].numel()
        return Draws(
            real=real,
            fake=[self.noise.draw(*place) for place in fakes],
            real_uniform=[self.augment.draw("real", number, values) for number in numbers],
            fake_uniform=[self.augment.draw(*place, values) for place in fakes],
        )


Update = Callable[[Setup, TrainState, Draws, Rates], Outcome]
"""A function that does one step: it updates both networks, their optimizers and the average.

Its result depends on its arguments alone. Every way to compute a step has this signature.
"""
