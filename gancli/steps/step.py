"""One training step of any recipe, and the choice of the fastest way to take it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gancli.randomness import key
from gancli.steps import accumulation, compiled_step, one_pass, updates
from gancli.steps.compiled_step import CompiledNetworks, CompiledStep
from gancli.steps.setup import Setup, Update
from gancli.steps.state import TrainState


@dataclass
class Step:
    """Advances a `TrainState` by one step; what it draws is a function of (seed, step) alone."""

    setup: Setup
    state: TrainState
    update: Update
    way: str = "plain"
    """Which of the ways to the same result ``update`` takes, in words, for a run's records."""

    def __call__(self) -> dict[str, Tensor]:
        """Do one step; returns every loss term and D's mean logits, as scalars on the device."""
        setup, state, step = self.setup, self.state, self.state.step
        for network in (state.g, state.d, state.ema):
            setup.recipe.advance(network, self.images_seen)
        rates, draws = setup.rates(step), setup.draws(step)
        state.set_rates(rates)
        seed_layers(key(setup.noise.seed, "layers", step, setup.group.rank), setup.noise.device)
        state.half_done = True
        outcome = self.update(setup, state, draws, rates)
        for number, logits in enumerate(outcome.real_logits, step * setup.recipe.d_steps):
            setup.augment.observe(state.feedback, logits, number)
        state.step += 1
        state.half_done = False
        return outcome.scalars

    @property
    def images_seen(self) -> int:
        """Real images that D's steps have used so far, over all processes."""
        return self.setup.images_seen(self.state.step)


def fastest_step(setup: Setup, state: TrainState, *, plain: bool = False, compiled: bool = False) -> Step:
    """A step by the fastest way that gives the plain way's result.

    ``plain`` takes the plain way even where a faster one does the same. ``compiled`` compiles the whole step where
    `compiled_step.suits`, else the networks; `gancli.runs.compile_choice` says whether that works and pays.
    """
    update, way = _uncompiled(setup, state, plain)
    if not compiled:
        return Step(setup, state, update, way)
    if compiled_step.suits(setup, state):
        return Step(setup, state, CompiledStep(update), f"{way}, compiled as a whole")
    return Step(setup, state, CompiledNetworks(update), f"{way}, networks compiled")


def _uncompiled(setup: Setup, state: TrainState, plain: bool) -> tuple[Update, str]:
    at_once = setup.recipe.simultaneous
    if setup.accumulate > 1:
        return accumulation.simultaneous if at_once else accumulation.alternate, "plain"
    if at_once and not plain and one_pass.suits(setup.recipe, state.d, setup.precision):
        return one_pass.simultaneous, "one pass of D for both networks"
    return updates.simultaneous if at_once else updates.alternate, "plain"


def seed_layers(seed: int, device: torch.device) -> None:
    """Seed what layers such as dropout draw from. On the CPU alone it is a hundred times cheaper."""
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)
