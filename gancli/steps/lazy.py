"""Lazy regularisation: optimizer steps of their own down terms that are computed at intervals only.

Karras et al. 2020 (arXiv:1912.04958), section 3.1 and appendix B. Terms are multiplied by their interval k, and Adam is
corrected for k + 1 steps in place of k; see `gancli.functional.schedules.lazy_share`. These steps come before the
others of their step, so that the gradients left for the health watch are those of the adversarial loss.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gancli.recipes.base import Loss, Rates, Recipe
from gancli.steps import updates
from gancli.steps.batches import Draws
from gancli.steps.outcome import Outcome, scalars_of
from gancli.steps.setup import Setup, Update
from gancli.steps.state import TrainState


@dataclass(frozen=True)
class Lazy:
    """An `Update` that is due at intervals, which steps one of the networks."""

    interval: int
    update: Update
    draws: Callable[[Setup, int, Draws], Draws]
    """Its random inputs in a step, from those of the whole step."""
    moves: tuple[int, int]
    """Optimizer steps of D and of G."""

    def due(self, step: int) -> bool:
        """True in the second step of each interval: before the first one Adam has no state to be compiled with."""
        return step % self.interval == 1 % self.interval


def terms_of(recipe: Recipe) -> list[Lazy]:
    """The lazy terms of a recipe."""
    d = Lazy(recipe.d_interval, regularise_d, lambda setup, step, draws: _last_real(draws), (1, 0))
    g = Lazy(recipe.g_interval, regularise_g, lambda setup, step, draws: _new_latents(setup, step), (0, 1))
    return [term for term in (d, g) if term.interval]


def _last_real(draws: Draws) -> Draws:
    return Draws(draws.real[-1:], [], draws.real_uniform[-1:], [])


def _new_latents(setup: Setup, step: int) -> Draws:
    return Draws([], [setup.noise.draw("lazy", step)], [], [])


def regularise_d(setup: Setup, state: TrainState, draws: Draws, rates: Rates) -> Outcome:
    """Step D down its lazy terms on real images."""
    recipe, real = setup.recipe, updates.real_images(setup, state, draws, 0)
    with setup.autocast():
        terms = recipe.d_regularisation(state.d, real, rates)
    _descend(setup, state, state.d, state.d_optimizer, terms, recipe.d_interval)
    recipe.constrain(state.d)
    return Outcome(scalars_of("d", Loss(terms)), [])


def regularise_g(setup: Setup, state: TrainState, draws: Draws, rates: Rates) -> Outcome:
    """Step G down its lazy terms on latents."""
    ((latents, labels),) = draws.fake
    with updates.frozen(state.d):
        with setup.autocast():
            terms = setup.recipe.g_regularisation(state.g, state.d, latents, labels)
        _descend(setup, state, state.g, state.g_optimizer, terms, setup.recipe.g_interval)
    return Outcome(scalars_of("g", Loss(terms)), [])


def _descend(
    setup: Setup, state: TrainState, network: nn.Module, optimizer: Optimizer, terms: dict[str, Tensor], interval: int
) -> None:
    """One optimizer step of all weights; those without a part in the terms, such as biases, have a gradient of 0."""
    optimizer.zero_grad(set_to_none=True)
    updates.backward(state, Loss({name: interval * value for name, value in terms.items()}))
    for parameter in network.parameters():
        if parameter.requires_grad and parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    updates.apply_gradients(setup, state, network, optimizer)
