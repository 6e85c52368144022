"""What single recipes promise beyond the contract, beside their papers."""

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from training_steps import make_step

from gancli import recipes
from gancli.functional import losses, penalties
from gancli.recipes.base import Batch, Spec
from gancli.recipes.r3gan import R3GAN, Residual

SPEC = Spec(1, 8, 8, 10)
POINTS = Spec(2, 1, 1, 8, 1.05)


def parts(recipe: Any, spec: Spec = SPEC) -> tuple[nn.Module, nn.Module, Batch, Batch]:
    torch.manual_seed(1)
    g, d = recipe.networks(spec)
    z, labels = torch.randn(8, recipe.latent_dim), torch.arange(8)
    real = Batch(torch.rand(8, *spec.shape) * 2 - 1, labels)
    return g, d, real, Batch(g(z, labels), labels, z)


def test_wgan_keeps_every_weight_of_d_within_the_clip_after_each_step() -> None:
    step = make_step(recipes.find("wgan")(d_steps=2, width=8))  # type: ignore[call-arg]
    assert max(p.abs().max() for p in step.state.d.parameters()) > 0.01
    step()
    assert max(p.abs().max() for p in step.state.d.parameters()) <= 0.01


def test_wgan_gp_is_the_estimated_distance_and_ten_times_the_penalty() -> None:
    recipe = recipes.find("wgan-gp")(width=8).fitted(SPEC, 1000, 1000)  # type: ignore[call-arg]
    g, d, real, fake = parts(recipe)
    torch.manual_seed(5)
    loss = recipe.d_loss(g, d, real, fake.detach(), recipe.schedule(0))
    torch.manual_seed(5)
    points = penalties.between(real.images, fake.images.detach()).requires_grad_()
    (gradient,) = torch.autograd.grad(d(points).sum(), points)
    expected = 10 * (gradient.flatten(1).norm(dim=1) - 1).square().mean()
    assert loss.terms["gp"].item() == pytest.approx(expected.item(), rel=1e-4)
    assert loss.terms["adv"].item() == pytest.approx((d(fake.images).mean() - d(real.images).mean()).item(), abs=1e-6)


def test_sngans_rates_fall_linearly_over_the_planned_length_if_asked_to() -> None:
    recipe = recipes.find("sngan")(lr_end=0.01).fitted(SPEC, 1000, 10_000)  # type: ignore[call-arg]
    first, middle, last, after = (recipe.schedule(seen) for seen in (0, 5000, 10_000, 20_000))
    assert (first.g_lr, first.d_lr) == (2e-4, 2e-4)
    assert middle.g_lr == pytest.approx(0.505 * 2e-4)
    assert last.g_lr == last.d_lr == after.g_lr == pytest.approx(2e-6)
    assert recipes.find("sngan")().fitted(SPEC, 1000, 10_000).schedule(10_000).g_lr == 2e-4


def test_dragan_is_the_cross_entropy_and_the_penalty_about_real_images() -> None:
    recipe = recipes.find("dragan")(width=8).fitted(SPEC, 1000, 1000)  # type: ignore[call-arg]
    g, d, real, fake = parts(recipe)
    torch.manual_seed(5)
    loss = recipe.d_loss(g, d, real, fake.detach(), recipe.schedule(0))
    torch.manual_seed(5)
    points = (real.images + 0.15 * real.images.std() * torch.randn_like(real.images)).requires_grad_()
    (gradient,) = torch.autograd.grad(d(points).sum(), points)
    expected = 10 * (gradient.flatten(1).norm(dim=1) - 1).square().mean()
    assert loss.terms["gp"].item() == pytest.approx(expected.item(), rel=1e-4)
    value = torch.sigmoid(d(real.images)).log().mean() + torch.sigmoid(-d(fake.images)).log().mean()
    assert loss.terms["adv"].item() == pytest.approx(-value.item(), rel=1e-4)
    assert recipe.fitted(POINTS, 1000, 1000).penalty == 10, "what is recorded stays"  # type: ignore[attr-defined]
    assert recipes.find("dragan")().fitted(POINTS, 1000, 1000).penalty == 0.1  # type: ignore[attr-defined]
    assert recipes.find("dragan")(penalty=0.0).fitted(SPEC, 1000, 1000).penalty == 0  # type: ignore


@pytest.mark.parametrize("name", ["dragan", "wgan-gp"])
def test_lambda_follows_the_scale_of_the_data(name: str) -> None:
    found = [recipes.find(name)().fitted(spec, 1000, 1000).penalty for spec in (SPEC, POINTS)]  # type: ignore[attr-defined]
    assert found == [10, 0.1]


def test_r3gans_gamma_is_the_authors_at_both_ends() -> None:
    sizes = (Spec(3, 32, 32), Spec(3, 64, 64), Spec(3, 256, 256))
    found = [R3GAN(network="residual").fitted(spec, 1000, 1000).gamma for spec in sizes]
    assert found == pytest.approx([0.05, 0.7211, 150], rel=1e-3)


def test_acgan_teaches_the_classes_of_real_and_generated_images() -> None:
    recipe = recipes.find("acgan")(width=8, dropout=0.0)  # type: ignore[call-arg]
    g, d, real, fake = parts(recipe)
    loss = recipe.d_loss(g, d, real, fake, recipe.schedule(0))
    told = [cross_entropy(d.logits_and_classes(batch.images)[1], batch.labels) for batch in (real, fake)]  # type: ignore[operator]
    assert loss.terms["class"].item() == pytest.approx(sum(told).item() / 2, rel=1e-5)


@pytest.mark.parametrize("name", ["cgan", "projection"])
def test_conditional_discriminators_look_at_the_label(name: str) -> None:
    recipe = recipes.find(name)()
    _, d, real, _ = parts(recipe)
    d.eval()
    other = torch.full_like(real.labels, 9)  # type: ignore[arg-type]
    assert not torch.allclose(d(real.images, real.labels), d(real.images, other), atol=1e-4)


def test_r3gan_is_the_pairing_loss_with_both_penalties() -> None:
    recipe = R3GAN(gamma=2.0, network="residual").fitted(SPEC, 1000, 10_000)
    g, d, real, fake = parts(recipe)
    for parameter in d.parameters():  # its last layers start at zero
        parameter.data += 0.1 * torch.randn_like(parameter)
    rates = recipe.schedule(0)
    assert rates.gamma == 2
    loss = recipe.d_loss(g, d, real, fake.detach(), rates)
    assert loss.terms["adv"].item() == pytest.approx(
        losses.relativistic_d(d(real.images), d(fake.images)).item(), rel=1e-5
    )
    for term, batch in (("r1", real), ("r2", fake)):
        points = batch.images.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(d(points).sum(), points)
        assert loss.terms[term].item() == pytest.approx(gradient.square().sum().item() / 8, rel=1e-4)
    assert "real" in loss.logits
    with_g = recipe.g_loss(g, d, real, fake, rates).terms["adv"]
    assert with_g.item() == pytest.approx(losses.relativistic_g(d(real.images), d(fake.images)).item(), rel=1e-5)


def test_r3gans_rates_go_from_their_first_to_their_last_values() -> None:
    recipe = R3GAN(g_lr=2e-4, gamma=1.0).fitted(SPEC, 1000, 10_000)
    first, middle, last, after = (recipe.schedule(seen) for seen in (0, 5000, 10_000, 20_000))
    assert (first.g_lr, first.gamma, first.beta2, first.ema_half_life) == (2e-4, 1.0, 0.9, 0.0)
    assert middle.gamma == pytest.approx(0.55)
    assert middle.beta2 == pytest.approx(0.945)
    assert (last.g_lr, last.gamma) == (pytest.approx(5e-5), pytest.approx(0.1))
    assert last.ema_half_life == pytest.approx(250)
    assert after == last
    points = R3GAN(gamma=1.0).fitted(Spec(2, 1, 1, 8, 4.0), 1000, 10_000)
    assert points.schedule(5000).gamma == pytest.approx(math.sqrt(1e-3)), "geometric for points"


@pytest.mark.parametrize(
    ("settings", "spec", "said"),
    [
        ({"width": 32, "blocks": 2}, Spec(1, 8, 8), "width=32, blocks=2: perceptrons.*; network=residual does"),
        ({"expansion": 4, "network": "perceptron"}, Spec(3, 64, 64), "expansion=4: perceptrons"),
        (
            {"width": 32},
            Spec(2, 1, 1, 8, 4.0),
            r"width=32: perceptrons .* no such settings\.$",
        ),
        ({"network": "residual"}, Spec(2, 1, 1, 8, 4.0), "network=residual draws pictures"),
    ],
)
def test_r3gan_refuses_settings_that_would_do_nothing(settings: dict[str, Any], spec: Spec, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        R3GAN(**settings).fitted(spec, 1000, 1000)


def test_r3gans_blocks_start_as_the_identity_and_its_networks_have_no_normalisation() -> None:
    block, maps = Residual(32, 2, 4), torch.randn(2, 32, 5, 5)
    assert torch.equal(block(maps), maps)
    for network in R3GAN(network="residual").fitted(SPEC, 1000, 1000).networks(SPEC):
        assert not [m for m in network.modules() if "Norm" in type(m).__name__]
