"""What every recipe promises, for images of many shapes."""

import dataclasses
import re
import typing
from typing import Any

import pytest
import torch
from torch import nn

from gancli import recipes
from gancli.config.settings import declarations
from gancli.recipes.base import Batch, Loss, Spec

SPECS = [
    Spec(1, 8, 8, 10),
    Spec(3, 32, 32, 3),
    Spec(1, 28, 28, 10),
    Spec(4, 18, 33, 2),
    Spec(3, 64, 48, 2),
    Spec(2, 1, 1, 8, 4.0),
]
EACH = pytest.mark.parametrize("name", recipes.names())
BATCH = 8


def made(name: str, spec: Spec) -> Any:
    """The recipe as it would train on 1,000 such images, at the end of the training; skips what it cannot draw."""
    recipe = recipes.find(name)().fitted(spec, 1000, 100_000)
    if spec.is_points and not recipe.draws_points:
        pytest.skip("draws no points")
    return recipe


def networks(recipe: Any, spec: Spec) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    g, d = recipe.networks(spec)
    for network in (g, d):
        recipe.advance(network, 10**9)
    return g, d


def batches(recipe: Any, spec: Spec, g: nn.Module) -> tuple[Batch, Batch]:
    z = torch.randn(BATCH, recipe.latent_values(spec))
    labels = torch.arange(BATCH) % spec.classes
    real = Batch(torch.rand(BATCH, *spec.shape) * 2 - 1, labels)
    return real, Batch(g(z, labels), labels if recipe.conditional else None, z)


def losses_at(recipe: Any, seen: int, spec: Spec, g: nn.Module, d: nn.Module) -> list[tuple[str, nn.Module, Loss]]:
    """The losses of a step at this point, of D and of G, or of G alone in a stage without D."""
    real, fake = batches(recipe, spec, g)
    rates, stage = recipe.schedule(seen), recipe.stage(seen)
    if stage.without_d:
        parts = g.get_submodule(stage.g), d.get_submodule(stage.d)
        return [("g", g, recipe.lone_loss(*parts, real, rates))]
    if recipe.rebuilds:
        fake = recipe.generated(g, real, fake.latents, None)
    trained = stage.recipe or recipe
    d_loss, g_loss = trained.d_loss(g, d, real, fake.detach(), rates), trained.g_loss(g, d, real, fake, rates)
    return [("d", d, d_loss), ("g", g, g_loss)]


@EACH
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.channels}x{spec.height}x{spec.width}")
def test_networks_fit_any_image(name: str, spec: Spec) -> None:
    recipe = made(name, spec)
    g, d = networks(recipe, spec)
    _, fake = batches(recipe, spec, g)
    assert fake.images.shape == (BATCH, *spec.shape)
    logits = d(fake.images, fake.labels)
    assert logits.ndim == 1 and BATCH % len(logits) == 0


@EACH
@pytest.mark.parametrize("spec", [SPECS[0], SPECS[3], SPECS[-1]], ids=["pictures", "wide pictures", "points"])
def test_losses_are_finite_named_scalars_with_gradients(name: str, spec: Spec) -> None:
    recipe = made(name, spec)
    torch.manual_seed(0)
    g, d = recipe.networks(spec)
    recipe.optimizers(g, d)
    unused = {f"{side}.{name}" for side, network in (("g", g), ("d", d)) for name, _ in network.named_parameters()}
    apart = 6250 if spec.width < 33 else 33_000  # what grows uses some weights only for a while
    for seen in (*range(0, 99_000, apart), 99_999):
        for network in (g, d):
            recipe.advance(network, seen)
        for side, network, loss in losses_at(recipe, seen, spec, g, d):
            assert loss.terms
            assert all(term.shape == () and torch.isfinite(term) for term in loss.terms.values())
            total = torch.stack(list(loss.terms.values())).sum()
            trained = {f"{side}.{name}": each for name, each in network.named_parameters() if each.requires_grad}
            gradients = torch.autograd.grad(total, list(trained.values()), allow_unused=True, retain_graph=True)
            unused -= {name for name, gradient in zip(trained, gradients, strict=True) if gradient is not None}
            if side == "d":
                assert {"real", "fake"} <= loss.logits.keys()
                assert all(value.ndim == 1 and BATCH % len(value) == 0 for value in loss.logits.values())
    assert not unused


@EACH
def test_what_is_left_to_the_data_is_filled_in_once(name: str) -> None:
    for spec in (Spec(1, 8, 8, 10), Spec(3, 256, 256, 10)):
        fitted = recipes.find(name)().fitted(spec, 1000, 100_000)
        assert fitted.fitted(Spec(3, 64, 64, 10), 10**6, 10**7) == fitted, "a recorded recipe changes no more"


@EACH
def test_a_class_asked_for_changes_the_image_only_of_a_conditional_generator(name: str) -> None:
    spec = Spec(1, 8, 8, 10)
    recipe = made(name, spec)
    g, _ = networks(recipe, spec)
    g.eval()
    with torch.no_grad():  # what a class changes may be nothing at the start
        for parameter in g.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    z = torch.randn(4, recipe.latent_values(spec))
    threes, sevens = (g(z, torch.full((4,), label)) for label in (3, 7))
    assert torch.equal(threes, sevens) != recipe.conditional


@EACH
def test_hyperparameters_say_what_they_mean_and_have_their_types(name: str) -> None:
    recipe: Any = recipes.find(name)
    hints = typing.get_type_hints(recipe)
    for each in dataclasses.fields(recipe):
        assert declarations(recipe)[each.name].setting.meaning, each.name
        if hints[each.name] in (int, float, bool, str):
            assert type(each.default) is hints[each.name], each.name
    assert recipe.title and recipe.paper and recipe.when


@EACH
def test_hyperparameters_that_make_no_sense_are_refused_by_name(name: str) -> None:
    cls = recipes.find(name)
    for field in dataclasses.fields(cls):
        default: Any = field.default
        if isinstance(default, bool | str):
            continue
        wrong = [float("nan"), float("inf")] if isinstance(default, float) else [-2, 10**12]
        wrong += [] if name == "lsgan" and field.name in "abc" else [-0.5, -2.0]
        wrong += [1.0, 1.5] if field.name.startswith("beta") else []
        wrong += [0] if field.name == "latent_dim" and default else []
        wrong += [1e300] if isinstance(default, float) else []
        is_share = field.name in ("lr_end", "lambda_k", "real_target") or (name, field.name) == ("began", "gamma")
        wrong += [1.01] if is_share else []
        for value in wrong:
            with pytest.raises(ValueError, match=f"^{re.escape(f'{field.name}={value}')} must be "):
                cls(**{field.name: value})
        assert cls(**{field.name: default}) == cls()


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


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (Spec(2, 1, 1, 0, 4.0), "r3gan"),
        (Spec(1, 28, 28, 10), "r3gan"),
        (Spec(3, 32, 32, 10), "dcgan"),
        (Spec(1, 64, 64, 0), "dcgan"),
        (Spec(3, 48, 64, 0), "latent"),
        (Spec(4, 128, 128, 0), "latent"),
    ],
    ids=str,
)
def test_the_default_follows_the_data(spec: Spec, name: str) -> None:
    assert recipes.default_for(spec) == name
    assert recipes.find(recipes.default_for(spec, augmented=True)).augmentable
