"""Techniques that a run may add to any recipe's losses; `Recipe` declares a hyperparameter for each."""

import contextlib
from dataclasses import replace

import torch
from torch import Tensor, nn

from gancli import whole_batch
from gancli.functional import penalties
from gancli.functional.losses import at_least_fp32
from gancli.models import direction
from gancli.recipes.base import Batch, Loss, Recipe, Spec

ANCHOR_DECAY = 0.99
"""Weight of the old average of D's logits in each step of D, as in LeCam's released code."""


class Unsuitable(ValueError):
    """A switch does not suit the recipe; the message says which and why."""


def are_on(recipe: Recipe) -> bool:
    """True if the losses are not the recipe's alone."""
    return bool(recipe.lecam or recipe.san or recipe.distillation)


def need_plain_images(recipe: Recipe) -> bool:
    """True if a term of G's loss needs the generated images before augmentation."""
    return bool(recipe.distillation)


def obstacle_to_parts(recipe: Recipe) -> str | None:
    """The reason why a batch cannot be processed in parts; None if it can."""
    return "LeCam's averages move once for the whole batch" if recipe.lecam else None


def networks(recipe: Recipe, spec: Spec) -> tuple[nn.Module, nn.Module]:
    """`Recipe.networks`, with what the switches need in D.

    Raises:
        Unsuitable: a switch does not suit the recipe.
    """
    g, d = recipe.networks(spec)
    if are_on(recipe) and recipe.has_stages:
        raise Unsuitable("lecam, san and distillation are for trainings in one stage; remove them")
    if recipe.distillation and not recipe.uses_fakes:
        raise Unsuitable("distillation needs the images that G's loss makes by itself here; remove it")
    if recipe.lecam:
        d.register_buffer("anchors", torch.zeros(3))
    if recipe.san:
        try:
            direction.normalise_last(d)
        except ValueError as error:
            raise Unsuitable(f"san: {error}; remove it") from error
    return g, d


def watched(recipe: Recipe, d: nn.Module) -> contextlib.AbstractContextManager[None]:
    """The context in which D's loss is computed."""
    return direction.probed(d) if recipe.san else contextlib.nullcontext()


def with_d_terms(recipe: Recipe, d: nn.Module, loss: Loss) -> Loss:
    """D's loss with the terms of the switches; moves LeCam's averages."""
    if not (recipe.lecam or recipe.san):
        return loss
    real, fake = (at_least_fp32(loss.logits[name]) for name in ("real", "fake"))
    terms = {}
    if recipe.lecam:
        terms["lecam"] = recipe.lecam * penalties.lecam(real, fake, *_moved_anchors(d, real, fake))
    if recipe.san:
        terms["direction"] = direction.wasserstein_of_direction(d, real, fake)
    return replace(loss, terms=loss.terms | terms)


@torch.no_grad()
def _moved_anchors(d: nn.Module, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """The averages of D's logits on real and on generated images over all steps, this one included.

    The buffer holds the decayed sums of both, and of the weights, so that the first steps are not drawn to zero.
    """
    sums = d.anchors
    assert isinstance(sums, Tensor)
    means = whole_batch.average(torch.stack([real.mean(), fake.mean()]))
    sums.lerp_(torch.cat([means, means.new_ones(1)]).to(sums.dtype), 1 - ANCHOR_DECAY)
    of_real, of_fake = (sums[:2] / sums[2]).unbind()
    return of_real, of_fake


def with_g_terms(recipe: Recipe, ema: nn.Module, real: Batch, fake: Batch, loss: Loss) -> Loss:
    """G's loss with the terms of the switches."""
    if not recipe.distillation:
        return loss
    assert fake.plain is not None and fake.latents is not None
    with torch.no_grad():
        taught = recipe.generated(ema, real, fake.latents, fake.labels)
    distance = (fake.plain - at_least_fp32(taught.images)).square().mean()
    return replace(loss, terms=loss.terms | {"teacher": recipe.distillation * distance})
