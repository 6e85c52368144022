"""One training step of any recipe: the plain way, which is the reference, and the choice of a faster one."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gancli.losses import at_least_fp32
from gancli.randomness import key
from gancli.recipes.base import Batch, Loss, Rates, Recipe
from gancli.training import one_stage
from gancli.training.augmentation import Augmentation
from gancli.training.batches import Noise
from gancli.training.distributed import Group
from gancli.training.state import Average, TrainState

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
    augmentation: str = "none"
    best_share: Callable[[int], float] = lambda images_seen: 1.0
    """Share of the fakes, those that D finds most real, from which G learns, as a function of the images seen."""

    rate_scale: float = 1.0
    """Factor of both learning rates; less than 1 after a rollback."""
    plain: bool = False
    """Take the plain way even where a faster one does the same."""

    def __post_init__(self) -> None:
        self.one_stage = not self.plain and one_stage.suits(self.recipe, self.state.d, self.precision)
        self.augment = Augmentation(
            self.augmentation, self.noise.seed, self.noise.batch_size, self.group, self.state.feedback
        )
        self.average = Average(self.state.ema, self.state.g)
        self.trained = [parameter for parameter in self.state.d.parameters() if parameter.requires_grad]

    def __call__(self) -> dict[str, Tensor]:
        """Do one step; returns every loss term and D's mean logits, as scalars on the device."""
        step, seen = self.state.step, self.images_seen
        seed_layers(key(self.noise.seed, "layers", step, self.group.rank), self.noise.device)
        rates = self.recipe.schedule(seen)
        if self.rate_scale != 1:
            rates = replace(rates, g_lr=self.rate_scale * rates.g_lr, d_lr=self.rate_scale * rates.d_lr)
        set_rates(self.state.g_optimizer, rates.g_lr, rates.beta2)
        set_rates(self.state.d_optimizer, rates.d_lr, rates.beta2)
        for network in (self.state.g, self.state.d, self.state.ema):
            self.recipe.advance(network, seen)
        update = self._simultaneous if self.recipe.simultaneous else self._alternate
        scalars = update(step, rates)
        self.state.scaler.update()
        half_life = rates.ema_half_life
        self.average.update(0.5 ** (self.noise.batch_size / half_life) if half_life else 0.0)
        self.state.step += 1
        return scalars

    @property
    def images_seen(self) -> int:
        """Real images that D's steps have used so far, over all processes."""
        return self.state.step * self.recipe.d_steps * self.noise.batch_size

    def _simultaneous(self, step: int, rates: Rates) -> dict[str, Tensor]:
        real = self._real(step)
        fake = self._fakes("g", step)
        if self.one_stage and self.best_share(self.images_seen) >= 1:
            scalars = self._at_once(step, real, fake, rates)
            if scalars is not None:
                return scalars
        g_scalars = self._update_g(real, fake, rates)
        return self._update_d(step, real, fake.detach(), rates) | g_scalars

    def _at_once(self, step: int, real: Batch, fake: Batch, rates: Rates) -> dict[str, Tensor] | None:
        found = one_stage.backward(self.recipe, self.state.g, self.state.d, real, fake, rates, self._autocast())
        if found is None:
            return None
        for network, optimizer in ((self.state.g, self.state.g_optimizer), (self.state.d, self.state.d_optimizer)):
            self.group.average_gradients(network)
            optimizer.step()
        self.recipe.constrain(self.state.d)
        d_loss, g_loss = found
        self.augment.observe(d_loss.logits["real"], step)
        return scalars_of("d", d_loss) | scalars_of("g", g_loss)

    def _alternate(self, step: int, rates: Rates) -> dict[str, Tensor]:
        for number in range(step * self.recipe.d_steps, (step + 1) * self.recipe.d_steps):
            real = self._real(number)
            with torch.no_grad():
                fake = self._fakes("d", number)
            d_scalars = self._update_d(number, real, fake, rates)
        return d_scalars | self._update_g(real, self._fakes("g", step), rates)

    def _real(self, number: int) -> Batch:
        return self.augment(self.real.batch(number), "real", number)

    def _fakes(self, purpose: str, number: int) -> Batch:
        latents, labels = self.noise.draw(purpose, number)
        with self._autocast():
            images = self.state.g(latents, labels)
        return self.augment(Batch(at_least_fp32(images), labels, latents), purpose, number)

    def _update_d(self, number: int, real: Batch, fake: Batch, rates: Rates) -> dict[str, Tensor]:
        with self._autocast():
            loss = self.recipe.d_loss(self.state.g, self.state.d, real, fake, rates)
        self._minimise(loss, self.state.d, self.state.d_optimizer)
        self.recipe.constrain(self.state.d)
        self.augment.observe(loss.logits["real"], number)
        return scalars_of("d", loss)

    def _update_g(self, real: Batch, fake: Batch, rates: Rates) -> dict[str, Tensor]:
        for parameter in self.trained:
            parameter.requires_grad_(False)
        with self._autocast():
            real, fake = self._most_real(real, fake)
            loss = self.recipe.g_loss(self.state.g, self.state.d, real, fake, rates)
        self._minimise(loss, self.state.g, self.state.g_optimizer)
        for parameter in self.trained:
            parameter.requires_grad_(True)
        return scalars_of("g", loss)

    def _most_real(self, real: Batch, fake: Batch) -> tuple[Batch, Batch]:
        """Top-k training, Sinha 2020 (arXiv:2002.06224), section 3: only the fakes with the highest logits, and as
        many real images beside them.
        """
        share = self.best_share(self.images_seen)
        if share >= 1:
            return real, fake
        with torch.no_grad():
            logits = self.state.d(fake.images, fake.labels)
        judged = len(fake.images) // len(logits)  # images behind one logit
        best = logits.topk(max(1, round(share * len(logits)))).indices
        rows = (best[:, None] * judged + torch.arange(judged, device=best.device)).flatten()
        return real.rows(torch.arange(len(rows), device=rows.device)), fake.rows(rows)

    def _minimise(self, loss: Loss, network: nn.Module, optimizer: Optimizer) -> None:
        total = torch.stack(list(loss.terms.values())).sum()
        optimizer.zero_grad(set_to_none=True)
        self.state.scaler.scale(total).backward()
        self.group.average_gradients(network)
        self.state.scaler.step(optimizer)

    def _autocast(self) -> AbstractContextManager[None]:
        dtype = AUTOCAST.get(self.precision)
        return nullcontext() if dtype is None else torch.autocast(self.noise.device.type, dtype)


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


def set_rates(optimizer: Optimizer, rate: float, beta2: float | None) -> None:
    """Set the learning rate and, unless None, Adam's second decay in every group of an optimizer."""
    for parameters in optimizer.param_groups:
        parameters["lr"] = rate
        if beta2 is not None:
            parameters["betas"] = (parameters["betas"][0], beta2)
