"""LeCam, SAN and self-distillation against references that are computed here, in float64."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training_steps import SPEC, labelled, make_step, small

from gancli.recipes.base import Loss, Recipe, Spec
from gancli.recipes.dcgan import DCGAN
from gancli.recipes.fastgan import FastGAN
from gancli.recipes.latent import RECIPE as LATENT
from gancli.recipes.vanilla import Vanilla
from gancli.recipes.wgan_gp import WGANGP
from gancli.steps import accumulation, switches, updates
from gancli.steps.step import Step

ALL = {"lecam": 0.3, "san": True, "distillation": 2.0}


def double(recipe: Recipe, **options: Any) -> Step:
    return make_step(recipe, dtype=torch.float64, **options)


def drawn(step: Step) -> Any:
    """A real batch, generated images with G's graph, and rates."""
    setup, state = step.setup, step.state
    draws = setup.draws(0)
    real = updates.real_images(setup, state, draws, 0)
    return real, updates.generated(setup, state, draws, 0, real), setup.rates(0)


def test_lecam_holds_logits_to_the_weighted_mean_of_all_before() -> None:
    _, d = switches.networks(Vanilla(lecam=0.5), SPEC)
    d.double()
    generator = torch.Generator().manual_seed(0)
    logits = [torch.randn(2, 6, generator=generator, dtype=torch.float64).requires_grad_() for _ in range(4)]
    for number, both in enumerate(logits):
        real, fake = both
        loss = switches.with_d_terms(Vanilla(lecam=0.5), d, Loss({}, {"real": real, "fake": fake}))
        weights = [0.99 ** (number - i) for i in range(number + 1)]
        means = [[float(each[kind].detach().mean()) for each in logits[: number + 1]] for kind in (0, 1)]
        of_real, of_fake = (sum(w * m for w, m in zip(weights, kind, strict=True)) / sum(weights) for kind in means)
        ahead = [[max(0.0, x - of_fake) for x in real.tolist()], [max(0.0, of_real - x) for x in fake.tolist()]]
        expected = 0.5 * sum(value**2 for kind in ahead for value in kind) / 6
        assert loss.terms["lecam"].item() == pytest.approx(expected, rel=1e-12)
        (gradient,) = torch.autograd.grad(loss.terms["lecam"], both)
        signs = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)  # the averages are constants
        torch.testing.assert_close(gradient, signs * torch.tensor(ahead, dtype=torch.float64) / 6)


def total(loss: Loss) -> Tensor:
    return torch.stack(list(loss.terms.values())).sum()


def features(d: Any, images: Tensor) -> Tensor:
    """The input of the last layer of vanilla's D."""
    return d.layers[:-1]((0.5 * images + 0.5).flatten(1)).detach()


def test_san_trains_features_and_direction_apart() -> None:
    step = double(Vanilla(san=True, r1_gamma=0.2), plain=True)
    d: Any = step.state.d
    real, fake, rates = drawn(step)
    fake = fake.detach()
    weight, bias = d.layers[-1].parametrizations.weight.original, d.layers[-1].bias
    loss = updates.d_loss_of(step.setup, step.state, real, fake, rates)
    found = torch.autograd.grad(total(loss), [*d.layers[0].parameters(), bias, weight])

    unit = (weight / weight.square().sum().sqrt()).detach()
    plain = make_step(Vanilla(r1_gamma=0.2), dtype=torch.float64, plain=True)  # the same first weights
    theirs: Any = plain.state.d
    with torch.no_grad():
        theirs.layers[-1].weight.copy_(unit)
    expected = updates.d_loss_of(plain.setup, plain.state, real, fake, rates)
    own = torch.autograd.grad(total(expected), [*theirs.layers[0].parameters(), theirs.layers[-1].bias])
    for ours, other in zip(found[:-1], own, strict=True):
        torch.testing.assert_close(ours, other, rtol=1e-9, atol=1e-15)

    hidden = [features(d, batch.images) for batch in (real, fake)]
    difference = hidden[1].mean(0) - hidden[0].mean(0)
    assert loss.terms["direction"].item() == pytest.approx(float(difference @ unit[0]), rel=1e-9)
    across = difference - (difference @ unit[0]) * unit[0]
    torch.testing.assert_close(found[-1][0], across / weight.norm(), rtol=1e-9, atol=1e-15)


def test_g_is_taught_by_the_average_without_augmentation() -> None:
    step = double(Vanilla(distillation=3.0), plain=True, augmentation="diffaug")
    state = step.state
    with torch.no_grad():
        for weight in state.ema.parameters():
            weight.add_(0.1)
    real, fake, rates = drawn(step)
    terms = updates.g_loss_of(step.setup, state, real, fake, rates).terms
    with torch.no_grad():
        ours, theirs = state.g(fake.latents), state.ema(fake.latents)
    assert not torch.equal(ours, fake.images), "D's images are augmented"
    assert terms["teacher"].item() == pytest.approx(3 * float(((ours - theirs) ** 2).mean()), rel=1e-9)
    gradients = torch.autograd.grad(terms["teacher"], list(state.g.parameters()))
    assert all(bool(gradient.abs().sum() > 0) for gradient in gradients)


def test_they_are_off_by_default() -> None:
    recipe = DCGAN(width=4)
    plain, built = recipe.networks(SPEC), switches.networks(recipe, SPEC)
    assert [list(n.state_dict()) for n in plain] == [list(n.state_dict()) for n in built]
    assert set(double(recipe)()) == {"d/adv", "d/logit_real", "d/logit_fake", "g/adv"}


def test_a_conditional_loss_of_d_takes_them_too() -> None:
    step = labelled(double(replace(small("acgan"), **ALL), spec=Spec(1, 8, 8, 4)))
    assert {"d/class", "d/lecam", "d/direction", "g/teacher"} <= set(step())


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (FastGAN(san=True), "san: D does not end in one linear layer"),
        (LATENT(lecam=0.1), "in one stage"),
        (replace(small("ddgan"), distillation=1.0), "distillation"),
    ],
    ids=["no last layer", "stages", "no fakes"],
)
def test_a_switch_that_does_not_suit_is_refused(recipe: Recipe, message: str) -> None:
    with pytest.raises(switches.Unsuitable, match=message):
        switches.networks(recipe, SPEC)


@pytest.mark.parametrize("name", ["unrolled", "projection"])
def test_two_recipes_refuse_san_themselves(name: str) -> None:
    with pytest.raises(ValueError, match="san=true"):
        replace(small(name), san=True)


def test_the_batch_of_lecam_is_taken_whole() -> None:
    g, d = nn.Linear(1, 1), nn.Linear(1, 1)
    assert accumulation.obstacle(Vanilla(), g, d) is None
    assert "LeCam" in str(accumulation.obstacle(Vanilla(lecam=0.1), g, d))


def test_a_penalty_at_other_images_leaves_the_direction_alone() -> None:
    step = double(WGANGP(width=4, san=True), plain=True)
    real, fake, rates = drawn(step)
    loss = updates.d_loss_of(step.setup, step.state, real, fake.detach(), rates)
    d: Any = step.state.d
    weight = d.logit.parametrizations.weight.original
    (gradient,) = torch.autograd.grad(loss.terms["gp"], weight, allow_unused=True)
    assert gradient is None
