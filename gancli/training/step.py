"""One training step of any recipe: the plain way, which is the reference, and the choice of a faster one."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gancli.losses import at_least_fp32
from gancli.randomness import key
from gancli.recipes.base import Batch, Loss, Rates, Recipe
from gancli.training import accumulation, one_stage, whole_step
from gancli.training.augmentation import Augmentation
from gancli.training.batches import Draws, Noise
from gancli.training.distributed import Group
from gancli.training.state import Average, TrainState
from gancli.training.whole_step import WholeStep

Answer = TypeVar("Answer")
AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


class RealImages(Protocol):
    """Where real batches come from."""

    def batch(self, number: int) -> Batch:
        """Real batch ``number`` of the run."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What a step says of itself, as tensors on the device."""

    scalars: dict[str, Tensor]
    """Every loss term and D's mean logits."""
    real_logits: list[Tensor]
    """D's logits ``(N,)`` on real images, from each of its steps; see `Step._judged`."""


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
    """Share of the fakes, those that D finds most real, from which G learns, as a function of the images seen, which
    never grows."""

    rate_scale: float = 1.0
    """Factor of both learning rates; less than 1 after a rollback."""
    accumulate: int = 1
    """Parts that a batch is worked through in, one after the other; see `accumulation.obstacle`."""
    plain: bool = False
    """Take the plain way even where a faster one does the same."""
    compiled: bool = False
    """Compile it: the whole step where `whole_step.suits`, else the networks. See `gancli.compiling`, which says
    whether that works and pays. On CUDA the networks' passes forward and back become graphs, since what small
    networks wait for there is the launching of their kernels."""

    def __post_init__(self) -> None:
        undivided = not self.plain and self.accumulate == 1
        self.one_stage = undivided and one_stage.suits(self.recipe, self.state.d, self.precision)
        self.parts = accumulation.parts_of(self.noise.batch_size // self.noise.world, self.accumulate)
        self.whole = WholeStep(self) if self.compiled and whole_step.suits(self) else None
        apart = self.compiled and self.whole is None
        self.g, self.d = (_compiled(n) if apart else n for n in (self.state.g, self.state.d))
        self.augment = Augmentation(
            self.augmentation, self.noise.seed, self.noise.batch_size, self.group, self.state.feedback
        )
        self.under_way = False
        """Whether the state is no longer that of before a step and not yet that of after it."""
        self.average = Average(self.state.ema, self.state.g)
        self.trained = [parameter for parameter in self.state.d.parameters() if parameter.requires_grad]

    def __call__(self) -> dict[str, Tensor]:
        """Do one step; returns every loss term and D's mean logits, as scalars on the device."""
        step, seen = self.state.step, self.images_seen
        if self.compiled and self.noise.device.type == "cuda":
            torch.compiler.cudagraph_mark_step_begin()  # what graphs wrote in the step before may be overwritten
        rates = self.recipe.schedule(seen)
        if self.rate_scale != 1:
            rates = replace(rates, g_lr=self.rate_scale * rates.g_lr, d_lr=self.rate_scale * rates.d_lr)
        for network in (self.state.g, self.state.d, self.state.ema):
            self.recipe.advance(network, seen)
        draws = self.draw(step)
        compute = self.whole if self.whole and self.whole.ready() else self.compute
        seed_layers(key(self.noise.seed, "layers", step, self.group.rank), self.noise.device)
        half_life = rates.ema_half_life
        self.under_way = True
        found = compute(draws, rates, 0.5 ** (self.noise.batch_size / half_life) if half_life else 0.0)
        for number, logits in enumerate(found.real_logits, step * self.recipe.d_steps):
            self.augment.observe(logits, number)
        self.state.step += 1
        self.under_way = False
        return found.scalars

    @property
    def images_seen(self) -> int:
        """Real images that D's steps have used so far, over all processes."""
        return self.state.step * self.recipe.d_steps * self.noise.batch_size

    @property
    def way(self) -> str:
        """Which of the ways to the same result it takes, in words, for a run's records."""
        way = "one pass of D for both networks" if self.one_stage else "plain"
        return f"{way}, compiled as a whole" if self.whole else f"{way}, networks compiled" if self.compiled else way

    def draw(self, step: int) -> Draws:
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

    def compute(self, draws: Draws, rates: Rates, decay: float | Tensor) -> Outcome:
        """Both networks' updates and the average's: a function of what was drawn and of the state, which it changes.

        ``decay`` is the average's.
        """
        self.set_rates(rates)
        found = self._simultaneous(draws, rates) if self.recipe.simultaneous else self._alternate(draws, rates)
        self.state.scaler.update()
        self.average.update(decay)
        return found

    def set_rates(self, rates: Rates) -> None:
        """Set the learning rates and, unless None, Adam's second decay in every group of both optimizers."""
        for optimizer, rate in ((self.state.g_optimizer, rates.g_lr), (self.state.d_optimizer, rates.d_lr)):
            for group in optimizer.param_groups:
                group["lr"] = rate
                if rates.beta2 is not None:
                    group["betas"] = (group["betas"][0], rates.beta2)

    def _simultaneous(self, draws: Draws, rates: Rates) -> Outcome:
        real = self._real(draws, 0)
        first = self._fakes(draws, 0, self.parts[0])
        if self.one_stage and self.best_share(self.images_seen) >= 1:
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
        both = ((self.state.g, self.state.g_optimizer), (self.state.d, self.state.d_optimizer))
        for _, optimizer in both:
            optimizer.zero_grad(set_to_none=True)
        found = one_stage.backward(self.recipe, self.state.d, real, fake, rates, self._autocast())
        if found is None:
            return None
        for network, optimizer in both:
            self.group.average_gradients(network)
            optimizer.step()
        self.recipe.constrain(self.state.d)
        d_loss, g_loss = found
        return Outcome(scalars_of("d", d_loss) | scalars_of("g", g_loss), [self._judged(d_loss)])

    def _alternate(self, draws: Draws, rates: Rates) -> Outcome:
        logits: list[Tensor] = []
        last = len(draws.fake) - 1  # of D's fakes if they are used again
        fakes, kept = partial(self._fakes, draws, last), None
        for number in range(self.recipe.d_steps):
            real = self._real(draws, number)
            if number == last and len(self.parts) == 1:
                kept = fakes(self.parts[0])  # with its graph, for G's step
                made = [kept.detach()]
            else:
                with torch.no_grad():
                    made = [self._of_part(partial(self._fakes, draws, number), rows) for rows in self.parts]
            d_loss = self._update_d(real, accumulation.joined(made), rates)
            logits.append(self._judged(d_loss))
        g_scalars = self._update_g(real, (lambda rows: kept) if kept else fakes, rates)
        return Outcome(scalars_of("d", d_loss) | g_scalars, logits)

    def _judged(self, loss: Loss) -> Tensor:
        """D's logits on real images, more than 0 where it takes them for real.

        Those of a relativistic D are measured from half-way between its means of real and of generated images.
        """
        real = loss.logits["real"].detach()
        if not self.recipe.relativistic:
            return real
        return real - 0.5 * (real.mean() + loss.logits["fake"].detach().mean())

    def _real(self, draws: Draws, place: int) -> Batch:
        return self.augment(draws.real[place], draws.real_uniform[place])

    def _fakes(self, draws: Draws, place: int, rows: slice) -> Batch:
        latents, labels = draws.fake[place]
        latents, labels = latents[rows], None if labels is None else labels[rows]
        with self._autocast():
            images = self.g(latents, labels)
        return self.augment(Batch(at_least_fp32(images), labels, latents), draws.fake_uniform[place], rows.start)

    def _update_d(self, real: Batch, fake: Batch, rates: Rates) -> Loss:
        def loss_of(rows: slice) -> Loss:
            with self._autocast():
                return self.recipe.d_loss(self.g, self.d, real.rows(rows), fake.rows(rows), rates)

        loss = self._minimise(loss_of, self.state.d, self.state.d_optimizer)
        self.recipe.constrain(self.state.d)
        return loss

    def _update_g(self, real: Batch, fakes: Callable[[slice], Batch], rates: Rates) -> dict[str, Tensor]:
        def loss_of(rows: slice) -> Loss:
            fake = fakes(rows)
            with self._autocast():
                chosen, best = self._most_real(real.rows(rows), fake)
                return self.recipe.g_loss(self.g, self.d, chosen, best, rates)

        for parameter in self.trained:
            parameter.requires_grad_(False)
        loss = self._minimise(loss_of, self.state.g, self.state.g_optimizer)
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
            logits = self.d(fake.images, fake.labels)
        judged = len(fake.images) // len(logits)  # images behind one logit
        best = logits.topk(max(1, round(share * len(logits)))).indices
        rows = (best[:, None] * judged + torch.arange(judged, device=best.device)).flatten()
        return real.rows(torch.arange(len(rows), device=rows.device)), fake.rows(rows)

    def _minimise(self, loss_of: Callable[[slice], Loss], network: nn.Module, optimizer: Optimizer) -> Loss:
        """Step down the mean of what ``loss_of`` says of each part of the batch."""
        optimizer.zero_grad(set_to_none=True)
        losses, shares = [], [(rows.stop - rows.start) / self.parts[-1].stop for rows in self.parts]
        for rows, share in zip(self.parts, shares, strict=True):
            loss = self._of_part(loss_of, rows)
            total = torch.stack(list(loss.terms.values())).sum()
            self.state.scaler.scale(total if share == 1 else share * total).backward()
            losses.append(accumulation.without_graph(loss))
            del loss, total  # whose graph would hold the memory of this part while the next one is worked through
        self.group.average_gradients(network)
        self.state.scaler.step(optimizer)
        return accumulation.combined(losses, shares)

    def _of_part(self, function: Callable[[slice], Answer], rows: slice) -> Answer:
        """What a function says of these rows; only with the first part do layers move by being asked."""
        with accumulation.settled(self.state.g, self.state.d) if rows.start else nullcontext():
            return function(rows)

    def _autocast(self) -> AbstractContextManager[None]:
        dtype = AUTOCAST.get(self.precision)
        return nullcontext() if dtype is None else torch.autocast(self.noise.device.type, dtype)


def _compiled(network: nn.Module) -> nn.Module:
    """The same network, whose steps draw what the plain ones draw."""
    options: Any = {"fallback_random": True, "triton.cudagraphs": True}
    return torch.compile(network, dynamic=False, options=options)  # type: ignore[return-value]


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
