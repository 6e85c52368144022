"""What every recipe promises, for images of many shapes."""

import dataclasses
import typing
from typing import Any

import pytest
import torch

from gancli import recipes
from gancli.recipes import base
from gancli.recipes.base import Batch, Spec

SPECS = [Spec(1, 8, 8), Spec(3, 32, 32), Spec(1, 28, 28, 10), Spec(4, 18, 33), Spec(3, 64, 48)]
EACH = pytest.mark.parametrize("name", recipes.names())


@EACH
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.channels}x{spec.height}x{spec.width}")
def test_networks_fit_any_image(name: str, spec: Spec) -> None:
    recipe = recipes.find(name)()
    g, d = recipe.networks(spec)
    z = torch.randn(4, recipe.latent_dim)
    labels = torch.zeros(4, dtype=torch.int64) if recipe.conditional else None
    images = g(z, labels)
    assert images.shape == (4, spec.channels, spec.height, spec.width)
    assert images.abs().max() <= 1
    assert d(images, labels).shape == (4,)


@EACH
def test_losses_are_finite_named_scalars_with_gradients(name: str) -> None:
    recipe, spec = recipes.find(name)(), Spec(1, 8, 8)
    g, d = recipe.networks(spec)
    z = torch.randn(8, recipe.latent_dim)
    real, fake = Batch(torch.rand(8, 1, 8, 8) * 2 - 1), Batch(g(z, None), None, z)
    rates = recipe.schedule(10**6)
    for network, loss in (
        (d, recipe.d_loss(g, d, real, fake.detach(), rates)),
        (g, recipe.g_loss(g, d, real, fake, rates)),
    ):
        assert loss.terms
        assert all(term.shape == () and torch.isfinite(term) for term in loss.terms.values())
        total = torch.stack(list(loss.terms.values())).sum()
        gradients = torch.autograd.grad(total, list(network.parameters()), allow_unused=True)
        assert all(gradient is not None for gradient in gradients)
    logits = recipe.d_loss(g, d, real, fake.detach(), rates).logits
    assert {"real", "fake"} <= logits.keys()
    assert all(value.shape == (8,) for value in logits.values())


@EACH
def test_hyperparameters_say_what_they_mean_and_have_their_types(name: str) -> None:
    recipe: Any = recipes.find(name)
    hints = typing.get_type_hints(recipe)
    for each in dataclasses.fields(recipe):
        assert base.meanings(recipe)[each.name], each.name
        if hints[each.name] in (int, float, bool, str):
            assert type(each.default) is hints[each.name], each.name
    assert recipe.title and recipe.paper and recipe.when


def test_vanilla_is_the_tutorials_networks() -> None:
    g, d = recipes.find("vanilla")().networks(Spec(1, 28, 28))
    assert [tuple(p.shape) for p in g.parameters() if p.ndim == 2] == [(256, 100), (512, 256), (784, 512)]
    assert [tuple(p.shape) for p in d.parameters() if p.ndim == 2] == [(512, 784), (256, 512), (1, 256)]
    black = torch.full((1, 1, 28, 28), -1.0)
    assert torch.equal(d(black), d.layers(torch.zeros(1, 784)).squeeze(1)), "D sees pixels in [0, 1]"


def test_dcgan_at_64_pixels_is_the_papers() -> None:
    g, d = recipes.find("dcgan")().networks(Spec(3, 64, 64))
    maps = [tuple(m.weight.shape[:2]) for m in g.modules() if isinstance(m, torch.nn.ConvTranspose2d)]
    assert maps == [(512, 256), (256, 128), (128, 64), (64, 3)]
    assert g.base == (4, 4)
    strided = [tuple(m.weight.shape[:2]) for m in d.modules() if isinstance(m, torch.nn.Conv2d)]
    assert strided == [(64, 3), (128, 64), (256, 128), (512, 256)]
    assert abs(d.logit.weight.std().item() - 0.02) < 0.002


def test_the_objectives_of_vanilla_differ_as_in_the_paper() -> None:
    spec, z = Spec(1, 8, 8), torch.randn(8, 100)
    losses = {}
    for objective in ("minimax", "non-saturating"):
        torch.manual_seed(0)
        recipe = recipes.find("vanilla")(objective=objective)  # type: ignore[call-arg]
        g, d = recipe.networks(spec)
        fake = Batch(g(z), None, z)
        losses[objective] = recipe.g_loss(g, d, fake, fake, recipe.schedule(0)).terms["adv"]
        probability = torch.sigmoid(d(fake.images).double())
    assert losses["minimax"].item() == pytest.approx((1 - probability).log().mean().item(), rel=1e-5)
    assert losses["non-saturating"].item() == pytest.approx(-probability.log().mean().item(), rel=1e-5)
