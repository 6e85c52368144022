"""One training step of any recipe, written to be obviously right: the reference for every faster path."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gancli.randomness import key
from gancli.recipes.base import Batch, Loss, Rates, Recipe
from gancli.training.batches import Noise
from gancli.training.distributed import Group
from gancli.training.state import TrainState, update_average

AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


class RealImages(Protocol):
    """Where real batches come from."""

    def batch(self, number: int) -> Batch:
        """Real batch ``number`` of the run."""
        ...


@dataclass
class Step:
    """Advances a `TrainState` by one step; what it draws is a function of (seed, step) alone."""

    recipe: Recipe
    state: TrainState
    real: RealImages
    noise: Noise
    precision: str = "fp32"
    group: Group = Group()  # noqa: RUF009 - frozen

    def __call__(self) -> dict[str, Tensor]:
        """Do one step; returns every loss term and D's mean logits, as scalars on the device."""
        step, seen = self.state.step, self.images_seen
        seed_layers(key(self.noise.seed, "layers", step, self.group.rank), self.noise.device)
        rates = self.recipe.schedule(seen)
        set_learning_rate(self.state.g_optimizer, rates.g_lr)
        set_learning_rate(self.state.d_optimizer, rates.d_lr)
        update = self._simultaneous if self.recipe.simultaneous else self._alternate
        scalars = update(step, rates)
        self.state.scaler.update()
        half_life = rates.ema_half_life
        update_average(self.state.ema, self.state.g, 0.5 ** (self.noise.batch_size / half_life) if half_life else 0.0)
        self.state.step += 1
        return scalars

    @property
    def images_seen(self) -> int:
        """Real images that D's steps have used so far, over all processes."""
        return self.state.step * self.recipe.d_steps * self.noise.batch_size

    def _simultaneous(self, step: int, rates: Rates) -> dict[str, Tensor]:
        real = self.real.batch(step)
        fake = self._fakes("g", step)
        g_scalars = self._update_g(real, fake, rates)
        return self._update_d(real, fake.detach(), rates) | g_scalars

    def _alternate(self, step: int, rates: Rates) -> dict[str, Tensor]:
        for number in range(step * self.recipe.d_steps, (step + 1) * self.recipe.d_steps):
            real = self.real.batch(number)
            with torch.no_grad():
                fake = self._fakes("d", number)
            d_scalars = self._update_d(real, fake, rates)
        return d_scalars | self._update_g(real, self._fakes("g", step), rates)

    def _fakes(self, purpose: str, number: int) -> Batch:
        latents, labels = self.noise.draw(purpose, number)
        with self._autocast():
            return Batch(self.state.g(latents, labels).float(), labels, latents)

    def _update_d(self, real: Batch, fake: Batch, rates: Rates) -> dict[str, Tensor]:
        with self._autocast():
            loss = self.recipe.d_loss(self.state.g, self.state.d, real, fake, rates)
        self._minimise(loss, self.state.d, self.state.d_optimizer)
        return scalars_of("d", loss)

    def _update_g(self, real: Batch, fake: Batch, rates: Rates) -> dict[str, Tensor]:
        self.state.d.requires_grad_(False)
        with self._autocast():
            loss = self.recipe.g_loss(self.state.g, self.state.d, real, fake, rates)
        self._minimise(loss, self.state.g, self.state.g_optimizer)
        self.state.d.requires_grad_(True)
        return scalars_of("g", loss)

    def _minimise(self, loss: Loss, network: nn.Module, optimizer: Optimizer) -> None:
        total = torch.stack(list(loss.terms.values())).sum()
        optimizer.zero_grad(set_to_none=True)
        self.state.scaler.scale(total).backward()
        self.group.average_gradients(network)
        self.state.scaler.step(optimizer)

    def _autocast(self) -> torch.autocast:
        dtype = AUTOCAST.get(self.precision)
        return torch.autocast(self.noise.device.type, dtype, enabled=dtype is not None)


def seed_layers(seed: int, device: torch.device) -> None:
    """Seed what layers such as dropout draw from. On the CPU alone it is a hundred times cheaper."""
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


def scalars_of(prefix: str, loss: Loss) -> dict[str, Tensor]:
    """Terms as ``d/adv`` and mean logits as ``d/logit_real``, the names under which they are logged."""
    terms = {f"{prefix}/{name}": value.detach() for name, value in loss.terms.items()}
    return terms | {f"{prefix}/logit_{name}": value.detach().float().mean() for name, value in loss.logits.items()}


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Set the learning rate of every group of an optimizer."""
    for parameters in optimizer.param_groups:
        parameters["lr"] = rate
