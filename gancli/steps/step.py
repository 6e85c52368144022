"""One training step of any recipe, computed in the fastest way."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from gancli.randomness import key
from gancli.recipes.base import WHOLE, Recipe, Stage
from gancli.steps import accumulation, compiled_step, lazy, one_pass, stages, updates
from gancli.steps.compiled_step import CompiledNetworks, CompiledStep
from gancli.steps.lazy import Lazy
from gancli.steps.prefetching import source_of
from gancli.steps.setup import Setup, Update
from gancli.steps.state import TrainState


@dataclass
class Step:
    """Advances a `TrainState` by one step; random numbers depend on (seed, step) alone."""

    setup: Setup
    state: TrainState
    update: Update
    way: str = "plain"
    """The way in which ``update`` computes a step, in words, for a run's records."""
    terms: Sequence[Lazy] = ()
    """Updates at intervals, before ``update``."""
    stage: Stage = field(default=WHOLE, init=False)
    """The stage of the last step."""
    _staged: tuple[Setup, TrainState, Update] | None = field(default=None, init=False, repr=False)
    """Arguments of the present stage's steps, if the training has stages."""

    def __call__(self) -> dict[str, Tensor]:
        """Do one step; returns all loss terms and D's mean logits, as scalars on the device."""
        setup, state, step = self.setup, self.state, self.state.step
        for network in (state.g, state.d, state.ema):
            setup.recipe.advance(network, self.images_seen)
        setup, part, update = self._of_stage() if setup.recipe.has_stages else (setup, state, self.update)
        rates, draws = setup.rates(step), setup.draws(step)
        state.set_rates(rates)
        seed_layers(key(setup.noise.seed, "layers", step, 0), setup.noise.device)
        state.half_done = True
        rare = dict[str, Tensor]()
        with setup.whole_batches():
            for term in self.terms:
                if term.due(step):
                    rare |= term.update(setup, part, term.draws(setup, step, draws), rates).scalars
            outcome = update(setup, part, draws, rates)
        for number, logits in enumerate(outcome.real_logits, step * setup.recipe.d_steps):
            setup.augment.observe(state.feedback, logits, number)
        state.step += 1
        state.half_done = False
        return setup.group.average_scalars(outcome.scalars | rare)

    def _of_stage(self) -> tuple[Setup, TrainState, Update]:
        """Set-up, state and update of the present stage; prepares a stage that begins with this step."""
        setup, state = self.setup, self.state
        stage = setup.recipe.stage(self.images_seen)
        if self._staged is None or stage != self.stage:
            self.stage = stage
            if state.step == 0 or setup.recipe.stage(setup.images_seen(state.step - 1)) != stage:
                setup.recipe.begin(stage, state.g, state.d, state.ema)
                if stage.fits is not None:
                    self._fit(state.ema.get_submodule(stage.fits))
                state.running.clear()  # scalars of the same names have another meaning now
            real, update = setup.real, updates.g_alone if stage.without_d else self.update
            if stage.encoder is not None:
                encoder = state.ema.get_submodule(stage.encoder)
                real = stages.encoded(source_of(setup.real), encoder, stage, setup.noise.device)
            self._staged = replace(setup, real=real, recipe=self.recipe), stages.part_of(state, stage), update
        self._staged[1].step = state.step
        return self._staged

    def _fit(self, encoder: nn.Module) -> None:
        setup, state = self.setup, self.state
        codes = stages.codes(source_of(setup.real), encoder, setup.noise.device)
        setup.recipe.fit(codes, state.g, state.ema)

    @property
    def recipe(self) -> Recipe:
        """The recipe that gives the present stage's losses and rates."""
        return self.stage.recipe or self.setup.recipe

    @property
    def stage_steps(self) -> int:
        """Steps done since the present stage began."""
        return self.state.step - math.ceil(self.stage.begins / self.setup.images_seen(1))

    def stage_end(self, total: int) -> int:
        """The step at which the present stage of a training of ``total`` steps is over."""
        borders = stages.borders(self.setup.recipe, self.setup.images_seen(1), total)
        return next((first for first, _ in borders if first >= max(1, self.state.step)), total)

    @property
    def images_seen(self) -> int:
        """Real images that D has trained on so far, in all processes."""
        return self.setup.images_seen(self.state.step)


def fastest_step(setup: Setup, state: TrainState, *, plain: bool = False, compiled: bool = False) -> Step:
    """A step that computes the plain step's result in the fastest way.

    ``plain`` forces the plain way. ``compiled`` compiles the whole step if `compiled_step.suits`, else the networks;
    `gancli.runs.compile_choice` decides whether that is worth it.
    """
    update, way = _uncompiled(setup, state, plain)
    terms = lazy.terms_of(setup.recipe)
    if not compiled:
        return Step(setup, state, update, way, terms)
    if compiled_step.suits(setup, state):
        taken: list[float] = []
        terms = [replace(term, update=CompiledStep(term.update, term.moves, taken)) for term in terms]
        whole = CompiledStep(update, (setup.recipe.d_steps, 1), taken)
        return Step(setup, state, whole, f"{way}, compiled as a whole", terms)
    return Step(setup, state, CompiledNetworks(update), f"{way}, networks compiled", terms)


def _uncompiled(setup: Setup, state: TrainState, plain: bool) -> tuple[Update, str]:
    at_once = setup.recipe.simultaneous
    if setup.accumulate > 1:
        return accumulation.simultaneous if at_once else accumulation.alternate, "plain"
    if at_once and not plain and one_pass.suits(setup.recipe, state.d, setup.precision):
        return one_pass.simultaneous, "one pass of D for both networks"
    return updates.simultaneous if at_once else updates.alternate, "plain"


def seed_layers(seed: int, device: torch.device) -> None:
    """Seed the generator of layers such as dropout. Seeding only the CPU's is a hundred times cheaper."""
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)
