"""What a step does to both networks, as the recipe's losses say it: the reference for the faster ways."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gancli.functional.losses import at_least_fp32
from gancli.recipes.base import Batch, Loss, Rates, Recipe
from gancli.steps import accumulation, one_pass
from gancli.steps.batches import Draws
from gancli.steps.outcome import Outcome, scalars_of

if TYPE_CHECKING:
    from gancli.steps.step import Step

Answer = TypeVar("Answer")
AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass
class Updates:
    """Both networks' updates from what was drawn, in the order that the recipe asks for, part by part of the batch."""

    step: "Step"

    def __call__(self, draws: Draws, rates: Rates) -> Outcome:
        """Change the networks and what their optimizers remember."""
        return self._simultaneous(draws, rates) if self.step.recipe.simultaneous else self._alternate(draws, rates)

    def _simultaneous(self, draws: Draws, rates: Rates) -> Outcome:
        real = self._real(draws, 0)
        first = self._fakes(draws, 0, self.step.parts[0])
        if self.step.one_stage and self.step.best_share(self.step.images_seen) >= 1:
            found = self._at_once(real, first, rates)
            if found is not None:
                return found
        made: list[Batch] = []

        def fakes(rows: slice) -> Batch:
            fake = self._fakes(draws, 0, rows) if made else first
            made.append(fake.detach())
            return fake

        g_scalars = self._update_g(real, fakes, rates)
        d_loss = self._update_d(real, accumulation.joined(made), rates)
        return Outcome(scalars_of("d", d_loss) | g_scalars, [self._judged(d_loss)])

    def _at_once(self, real: Batch, fake: Batch, rates: Rates) -> Outcome | None:
        both = ((self.step.state.g, self.step.state.g_optimizer), (self.step.state.d, self.step.state.d_optimizer))
        for _, optimizer in both:
            optimizer.zero_grad(set_to_none=True)
        found = one_pass.backward(self.step.recipe, self.step.state.d, real, fake, rates, self._autocast())
        if found is None:
            return None
        for network, optimizer in both:
            self.step.group.average_gradients(network)
            optimizer.step()
        self.step.recipe.constrain(self.step.state.d)
        d_loss, g_loss = found
        return Outcome(scalars_of("d", d_loss) | scalars_of("g", g_loss), [self._judged(d_loss)])

    def _alternate(self, draws: Draws, rates: Rates) -> Outcome:
        logits: list[Tensor] = []
        last = len(draws.fake) - 1  # of D's fakes if they are used again
        fakes, kept = partial(self._fakes, draws, last), None
        for number in range(self.step.recipe.d_steps):
            real = self._real(draws, number)
            if number == last and len(self.step.parts) == 1:
                kept = fakes(self.step.parts[0])  # with its graph, for G's step
                made = [kept.detach()]
            else:
                with torch.no_grad():
                    made = [self._of_part(partial(self._fakes, draws, number), rows) for rows in self.step.parts]
            d_loss = self._update_d(real, accumulation.joined(made), rates)
            logits.append(self._judged(d_loss))
        g_scalars = self._update_g(real, (lambda rows: kept) if kept else fakes, rates)
        return Outcome(scalars_of("d", d_loss) | g_scalars, logits)

    def _judged(self, loss: Loss) -> Tensor:
        """D's logits on real images; for ADA, measured from where D's border between real and generated is."""
        real = loss.logits["real"].detach()
        if self.step.recipe.border_at_zero or self.step.augment.policy != "ada":
            return real
        means = torch.stack([real.mean(), loss.logits["fake"].detach().mean()])
        return real - self.step.group.total(means).mean() / self.step.group.world

    def _real(self, draws: Draws, place: int) -> Batch:
        return self.step.augment(draws.real[place], draws.real_uniform[place])

    def _fakes(self, draws: Draws, place: int, rows: slice) -> Batch:
        latents, labels = draws.fake[place]
        latents, labels = latents[rows], None if labels is None else labels[rows]
        with self._autocast():
            images = self.step.g(latents, labels)
        return self.step.augment(Batch(at_least_fp32(images), labels, latents), draws.fake_uniform[place], rows.start)

    def _update_d(self, real: Batch, fake: Batch, rates: Rates) -> Loss:
        def loss_of(rows: slice) -> Loss:
            with self._autocast():
                return self.step.recipe.d_loss(self.step.g, self.step.d, real.rows(rows), fake.rows(rows), rates)

        loss = self._minimise(loss_of, self.step.state.d, self.step.state.d_optimizer)
        self.step.recipe.constrain(self.step.state.d)
        return loss

    def _update_g(self, real: Batch, fakes: Callable[[slice], Batch], rates: Rates) -> dict[str, Tensor]:
        def loss_of(rows: slice) -> Loss:
            fake = fakes(rows)
            with self._autocast():
                return self._g_loss(real.rows(rows), fake, rates)

        for parameter in self.step.trained:
            parameter.requires_grad_(False)
        loss = self._minimise(loss_of, self.step.state.g, self.step.state.g_optimizer)
        for parameter in self.step.trained:
            parameter.requires_grad_(True)
        return scalars_of("g", loss)

    def _g_loss(self, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """G's loss, of this process's fakes with the highest logits where there is a share of them: top-k training,
        Sinha 2020 (arXiv:2002.06224), algorithm 1. A loss that is more than a function of logits gets those fakes
        alone, to be judged again, and as many real images beside them.
        """
        g, d, recipe = self.step.g, self.step.d, self.step.recipe
        share = self.step.best_share(self.step.images_seen)
        if share >= 1:
            return recipe.g_loss(g, d, real, fake, rates)
        of_logits = type(recipe).g_loss is Recipe.g_loss
        with torch.set_grad_enabled(of_logits):
            logits = d(fake.images, fake.labels)
        best = logits.topk(max(1, round(share * len(logits))))
        if of_logits:
            return Loss({"adv": recipe.g_adversarial(best.values)})
        return recipe.g_loss(g, d, real.rows(slice(len(best.indices))), fake.rows(best.indices), rates)

    def _minimise(self, loss_of: Callable[[slice], Loss], network: nn.Module, optimizer: Optimizer) -> Loss:
        """Step down the mean of what ``loss_of`` says of each part of the batch."""
        optimizer.zero_grad(set_to_none=True)
        losses, shares = [], [(rows.stop - rows.start) / self.step.parts[-1].stop for rows in self.step.parts]
        for rows, share in zip(self.step.parts, shares, strict=True):
            loss = self._of_part(loss_of, rows)
            total = torch.stack(list(loss.terms.values())).sum()
            self.step.state.scaler.scale(total if share == 1 else share * total).backward()
            losses.append(accumulation.without_graph(loss))
            del loss, total  # whose graph would hold the memory of this part while the next one is worked through
        self.step.group.average_gradients(network)
        self.step.state.scaler.step(optimizer)
        self.step.state.scaler.update()
        return accumulation.combined(losses, shares)

    def _of_part(self, function: Callable[[slice], Answer], rows: slice) -> Answer:
        """What a function says of these rows; only with the first part do layers move by being asked."""
        with accumulation.settled(self.step.state.g, self.step.state.d) if rows.start else nullcontext():
            return function(rows)

    def _autocast(self) -> AbstractContextManager[None]:
        dtype = AUTOCAST.get(self.step.precision)
        return nullcontext() if dtype is None else torch.autocast(self.step.noise.device.type, dtype)
