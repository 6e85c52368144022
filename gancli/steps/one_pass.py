"""The gradients of G and of D from one pass through D, if both step from the same fakes and the same D.

One forward pass gives D's logits of real and generated images. One backward pass, seeded with ones, gives
dD(x_i)/d(layer) for every layer and dD(x_i)/dx_i for every fake. Then the derivatives of the two losses with respect to
the logits weight the images: c_i for the gradients of D's weights, e_i for those that enter G. This is exact if D does
not mix samples; see `gancli.functional.layerwise`.
"""

from contextlib import AbstractContextManager
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from gancli.functional import layerwise
from gancli.functional.layerwise import Visit
from gancli.functional.losses import at_least_fp32
from gancli.recipes.base import Batch, Loss, Rates, Recipe, joint_logits
from gancli.steps import switches, updates
from gancli.steps.batches import Draws
from gancli.steps.outcome import Outcome
from gancli.steps.setup import Setup
from gancli.steps.state import TrainState

DRAWS = (_DropoutNd, nn.utils.parametrize.ParametrizationList)
"""Layers whose second pass differs from the first, since they are random or have state."""


def suits(recipe: Recipe, d: nn.Module, precision: str) -> bool:
    """True if one pass gives the result of two, by the recipe's declarations and D's layers.

    It does not in fp16, because the seed of ones is not scaled with the loss.
    """
    kind = type(recipe)
    return (
        recipe.simultaneous
        and not recipe.mixes_samples
        and kind.d_loss is Recipe.d_loss
        and kind.g_loss is Recipe.g_loss
        and precision != "fp16"
        and not switches.are_on(recipe)
        and not any(isinstance(module, DRAWS) for module in d.modules())
    )


def simultaneous(setup: Setup, state: TrainState, draws: Draws, rates: Rates) -> Outcome:
    """`updates.simultaneous` in one pass of D; in two where one is not exact, as in top-k training."""
    real = updates.real_images(setup, state, draws, 0)
    fake = updates.generated(setup, state, draws, 0, real)
    if setup.best_share(setup.images_seen(state.step)) < 1:
        return updates.step_both(setup, state, real, fake, rates)
    for optimizer in (state.g_optimizer, state.d_optimizer):
        optimizer.zero_grad(set_to_none=True)
    d = getattr(state.d, "_orig_mod", state.d)  # a compiled network's layers cannot be watched
    losses = backward(setup.recipe, d, real, fake, rates, setup.autocast())
    if losses is None:
        return updates.step_both(setup, state, real, fake, rates)
    updates.apply_gradients(setup, state, state.g, state.g_optimizer)
    updates.apply_gradients(setup, state, state.d, state.d_optimizer)
    setup.recipe.constrain(state.d)
    d_loss, g_loss = losses
    return updates.finish(setup, state, rates, [d_loss], g_loss)


def backward(
    recipe: Recipe,
    d: nn.Module,
    real: Batch,
    fake: Batch,
    rates: Rates,
    autocast: AbstractContextManager[None],
) -> tuple[Loss, Loss] | None:
    """Set the gradients of both networks, which must be None before; returns D's loss and G's.

    ``fake`` has G's graph, ``autocast`` is for D's forward pass. Returns None and changes nothing if `layerwise` does
    not support a layer of D.
    """
    count = len(real.images)
    leaf = fake.images.detach().requires_grad_()
    with autocast, layerwise.watched(d, slice(count, None)) as visits:
        logits = joint_logits(d, real, replace(fake, images=leaf))
    if not layerwise.covered(logits, visits):
        return None
    leaf_logits = at_least_fp32(logits.detach()).requires_grad_()
    real_logits, fake_logits = leaf_logits.tensor_split([count])
    d_terms, g_term = {"adv": recipe.d_adversarial(real_logits, fake_logits)}, recipe.g_adversarial(fake_logits)
    (d_weights,) = torch.autograd.grad(d_terms["adv"], leaf_logits)
    (g_weights,) = torch.autograd.grad(g_term, leaf_logits)

    of_images = _into_weights(logits, leaf, visits, d_weights)
    fake.images.backward(of_images * g_weights[count:].to(of_images.dtype).view(-1, 1, 1, 1))
    with autocast:
        penalties = recipe.d_penalties(d, real, fake.detach(), rates)
    if penalties:
        torch.stack(list(penalties.values())).sum().backward()
    return Loss(d_terms | penalties, {"real": real_logits, "fake": fake_logits}), Loss({"adv": g_term})


def _into_weights(logits: Tensor, images: Tensor, visits: list[Visit], weights: Tensor) -> Tensor:
    """Set the gradients of sum_i c_i D(x_i) for D's weights; returns dD(x_i)/dx_i."""
    edges = [visit.after_edge for visit in visits]
    of_images, *deltas = torch.autograd.grad((logits,), (images, *edges), (torch.ones_like(logits),), retain_graph=True)  # type: ignore[arg-type]
    with torch.no_grad():
        for visit, delta in zip(visits, deltas, strict=True):
            gradients = layerwise.weight_gradients(visit, delta, weights)
            for parameter, gradient in zip(visit.trained, gradients, strict=True):
                if parameter.grad is not None:
                    parameter.grad += gradient
                elif gradient.stride() == parameter.stride():
                    parameter.grad = gradient
                else:  # fused Adam requires the same memory layout
                    parameter.grad = torch.empty_like(parameter).copy_(gradient)
    return of_images
