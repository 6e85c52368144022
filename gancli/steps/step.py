"""One training step of any recipe: what it draws, and the choice of the way to its result."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from gancli.machine.distributed import Group
from gancli.randomness import key
from gancli.recipes.base import Batch, Rates, Recipe
from gancli.steps import accumulation, compiled_step, one_pass
from gancli.steps.augmentation import Augmentation
from gancli.steps.batches import Draws, Noise
from gancli.steps.compiled_step import WholeStep
from gancli.steps.outcome import Outcome
from gancli.steps.state import Average, TrainState
from gancli.steps.updates import Updates


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
    """Share of the fakes, those that D finds most real, from which G learns, as a function of the images seen, which
    never grows."""

    rate_scale: float = 1.0
    """Factor of both learning rates; less than 1 after a rollback."""
    average_is_new: bool = True
    """Whether the average starts from weights that are soon to be forgotten; False: from those of an earlier run."""
    accumulate: int = 1
    """Parts that a batch is worked through in, one after the other; see `accumulation.obstacle`."""
    plain: bool = False
    """Take the plain way even where a faster one does the same."""
    compiled: bool = False
    """Compile it: the whole step where `compiled_step.suits`, else the networks. On CUDA the step, or each pass of a
    network, is one graph. See `gancli.runs.compile_choice`, which says whether that works and pays."""

    def __post_init__(self) -> None:
        undivided = not self.plain and self.accumulate == 1
        self.one_stage = undivided and one_pass.suits(self.recipe, self.state.d, self.precision)
        self.parts = accumulation.parts_of(self.noise.batch_size // self.noise.world, self.accumulate)
        self.whole = WholeStep(self) if self.compiled and compiled_step.suits(self) else None
        apart = self.compiled and self.whole is None
        self.g, self.d = (_compiled(n) if apart else n for n in (self.state.g, self.state.d))
        self.augment = Augmentation(
            self.augmentation, self.noise.seed, self.noise.batch_size, self.group, self.state.feedback
        )
        self.under_way = False
        """Whether the state is no longer that of before a step and not yet that of after it."""
        self.average = Average(self.state.ema, self.state.g)
        self.updates = Updates(self)
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
        half_life = rates.ema_half_life if self.average_is_new else self.recipe.ema_half_life
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
        found = self.updates(draws, rates)
        self.group.average_buffers(self.state.g, self.state.d)
        self.average.update(decay)
        return found

    def set_rates(self, rates: Rates) -> None:
        """Set the learning rates and, unless None, Adam's second decay in every group of both optimizers."""
        for optimizer, rate in ((self.state.g_optimizer, rates.g_lr), (self.state.d_optimizer, rates.d_lr)):
            for group in optimizer.param_groups:
                group["lr"] = rate
                if rates.beta2 is not None:
                    group["betas"] = (group["betas"][0], rates.beta2)


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
