"""The last stage of the latent recipe: its losses are those of pictures and of latents together."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import relu, softplus

from gancli.functional.augment import DIFFAUG_NUMBERS, diffaug
from gancli.models.latent_networks import Discriminator, Generator
from gancli.recipes.base import Batch, Rates, Spec
from gancli.recipes.latent import Latent

SPEC = Spec(3, 16, 16)
RECIPE = Latent(width=16, network_width=16, channels=4, noise=0.0, latent_noise=0.0).fitted(SPEC, 100, 10_000)
RATES = Rates(0, 0, 0, gamma=0.5)


@pytest.fixture(scope="module")
def networks() -> tuple[Generator, Discriminator]:
    torch.manual_seed(0)
    g, d = RECIPE.networks(SPEC)
    RECIPE.advance(g, 10_000)
    RECIPE.advance(d, 10_000)
    assert isinstance(g, Generator) and isinstance(d, Discriminator)
    for module in d.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
    return g, d.requires_grad_(True)


def batches(g: Generator) -> tuple[Batch, Batch]:
    real, latents = Batch(torch.rand(8, 3, 16, 16) * 2 - 1), torch.randn(8, RECIPE.latent_dim)
    return real, RECIPE.sharpening.generated(g, real, latents, None)


def augmented(images: Tensor) -> Tensor:
    return diffaug(images, torch.rand(len(images), DIFFAUG_NUMBERS))


def test_fakes_are_reconstructions_and_samples_in_turn(networks: tuple[Generator, Discriminator]) -> None:
    g, _ = networks
    real, fake = batches(g)
    assert fake.latents is not None
    assert torch.allclose(fake.images[::2], g.reconstruct(real.images)[::2], atol=1e-5)
    assert torch.allclose(fake.images[1::2], g(fake.latents)[1::2], atol=1e-5)
    noisy = replace(RECIPE, noise=0.5).sharpening.generated(g, real, fake.latents, None)
    assert not torch.allclose(noisy.images[::2], fake.images[::2], atol=1e-3)
    assert torch.equal(noisy.images[1::2], fake.images[1::2])
    assert RECIPE.rebuilds, "choosing among them would part pairs"
    assert not replace(RECIPE, adversarial=0.0).rebuilds


def test_ds_loss_is_the_hinge_loss_of_pictures_and_r3gans_of_latents(networks: tuple[Generator, Discriminator]) -> None:
    (g, d), (real, fake) = networks, batches(networks[0])
    assert d.judge is not None
    d.judge.eval()
    torch.manual_seed(1)
    terms = RECIPE.sharpening.d_loss(g, d, real, fake.detach(), RATES).terms
    torch.manual_seed(1)
    on_real, on_fake = (d.judge.patches(augmented(batch.images)) for batch in (real, fake))
    assert terms["adv"].item() == pytest.approx((relu(1 - on_real).mean() + relu(1 + on_fake).mean()).item(), rel=1e-5)
    codes = g.autoencoder.encoder(real.images).detach().requires_grad_()
    drawn = g.inner(fake.latents).detach().requires_grad_()
    pairing = softplus(d.inner(drawn) - d.inner(codes)).mean()
    assert terms["latent_adv"].item() == pytest.approx(pairing.item(), rel=1e-5)
    for name, inputs in (("latent_r1", codes), ("latent_r2", drawn)):
        (gradient,) = torch.autograd.grad(d.inner(inputs).sum(), inputs)
        assert terms[name].item() == pytest.approx(0.25 * gradient.square().sum().item() / 8, rel=1e-4), name


def test_gs_loss_weighs_pictures_and_reconstructions(networks: tuple[Generator, Discriminator]) -> None:
    (g, d), (real, fake) = networks, batches(networks[0])
    assert d.judge is not None
    d.judge.eval()
    torch.manual_seed(1)
    terms = RECIPE.sharpening.g_loss(g, d, real, fake, RATES).terms
    torch.manual_seed(1)
    logits = d.judge.patches(augmented(fake.images))
    assert terms["adv"].item() == pytest.approx(-RECIPE.adversarial * logits.mean().item(), rel=1e-5)
    rebuilt = g.reconstruct(real.images)[::2]
    distance = (rebuilt - real.images[::2]).abs().mean().item()
    assert terms["l1"].item() == pytest.approx(RECIPE.rebuilding * distance, rel=1e-5)
    perceived = d.judge.perception(rebuilt[::2], real.images[::4]).item()
    assert terms["perceptual"].item() == pytest.approx(RECIPE.rebuilding * RECIPE.perceptual * perceived, rel=1e-4)
    codes, drawn = g.autoencoder.encoder(real.images), g.inner(fake.latents)
    assert terms["latent_adv"].item() == pytest.approx(
        softplus(d.inner(codes) - d.inner(drawn)).mean().item(), rel=1e-5
    )
    sum(terms.values(), torch.zeros(())).backward()
    moved = {name.split(".")[0] for name, weight in g.named_parameters() if weight.grad is not None}
    assert moved == {"autoencoder", "inner"}
    assert all(weight.grad is None for weight in g.autoencoder.encoder.parameters())


def test_d_judges_pictures_from_the_last_border_on(networks: tuple[Generator, Discriminator]) -> None:
    _, d = networks
    images = torch.rand(2, 3, 16, 16)
    assert d.judge is not None
    assert torch.equal(d.eval()(images), d.judge(images))
    _, young = RECIPE.networks(SPEC)
    RECIPE.advance(young, int(RECIPE.last_border) - 1)
    assert torch.equal(young.eval()(images), young.inner(young.encoder(images)))


def test_there_is_no_last_stage_without_its_weight_or_where_features_cannot_be_compared() -> None:
    assert RECIPE.stage(10_000).recipe is not None
    for recipe in (replace(RECIPE, adversarial=0.0), Latent().fitted(Spec(2, 16, 16), 100, 10_000)):
        assert recipe.stage(10**9).name == "GAN in its latents"
