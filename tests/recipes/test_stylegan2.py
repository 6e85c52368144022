"""StyleGAN2's layers, losses and settings against the paper's formulas."""

import math
from typing import cast

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from gancli.functional.schedules import ramped_half_life
from gancli.models.style_discriminator import Discriminator
from gancli.models.style_generator import Generator, Mapping, Modulated
from gancli.recipes.base import Batch, Spec
from gancli.recipes.stylegan2 import StyleGAN2, path_lengths

SPEC = Spec(3, 8, 12, 4)
SMALL = StyleGAN2(width=4, max_width=8, latent_dim=6).fitted(SPEC, 1000, 40_000)


def doubles(recipe: StyleGAN2 = SMALL, spec: Spec = SPEC) -> tuple[Generator, Discriminator]:
    torch.manual_seed(0)
    g, d = recipe.networks(spec)
    return cast(Generator, g.double()), cast(Discriminator, d.double())


def latents_of(count: int, recipe: StyleGAN2 = SMALL, spec: Spec = SPEC) -> Tensor:
    values = recipe.latent_values(spec)
    return torch.randn(count, values, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("demodulates", [True, False])
def test_a_modulated_convolution_has_weights_of_its_own_for_each_image(demodulates: bool) -> None:
    torch.manual_seed(0)
    layer = Modulated(6, 5, 7, 3, demodulates).double()
    maps, styles = torch.randn(4, 5, 6, 8, dtype=torch.float64), torch.randn(4, 6, dtype=torch.float64)
    affine = layer.style.layer
    rows = []
    for image, style in zip(maps, styles, strict=True):
        scales = affine.weight.detach() @ style / math.sqrt(6) + 1
        weight = layer.weight.detach() / math.sqrt(5 * 9) * scales[None, :, None, None]
        if demodulates:
            norms = torch.stack([(each.square().sum() + 1e-8).sqrt() for each in weight])
            weight = math.sqrt(2) * weight / norms[:, None, None, None]
        rows.append(conv2d(image[None], weight, padding=1))
    torch.testing.assert_close(layer(maps, styles).detach(), torch.cat(rows), rtol=1e-9, atol=1e-9)


def test_the_mapping_normalises_latents_and_labels_and_learns_a_hundredth_as_fast() -> None:
    torch.manual_seed(0)
    mapping = Mapping(6, 5, 3, 1).double()
    z, labels = torch.randn(4, 9, dtype=torch.float64), torch.tensor([0, 2, 1, 2])
    embedded = mapping.embedding.layer.weight.T[labels] / math.sqrt(3)  # type: ignore[union-attr]
    parts = [part / part.square().mean(1, keepdim=True).sqrt() for part in (z[:, :6], embedded)]
    layer = mapping.layers[0].layer
    expected = 0.01 * math.sqrt(2 / 11) * torch.cat(parts, 1) @ layer.weight.T  # type: ignore[operator]
    expected = torch.where(expected > 0, expected, 0.2 * expected)
    torch.testing.assert_close(mapping(z, labels), expected, rtol=1e-6, atol=1e-6)
    assert layer.weight.std().item() == pytest.approx(100, rel=0.3)  # type: ignore[operator]


def test_path_lengths_are_norms_of_the_jacobian_times_random_pixels() -> None:
    g, _ = doubles()
    g.mixing = 0.0
    z = latents_of(3)
    torch.manual_seed(5)
    lengths = path_lengths(g, z, None)
    torch.manual_seed(5)
    y = torch.randn(3, *SPEC.shape, dtype=torch.float64) / math.sqrt(8 * 12)
    for number in range(3):
        own = z[number : number + 1]
        jacobian = torch.autograd.functional.jacobian(lambda w, own=own: g.synthesis(w, own), g.mapping(own))
        product = torch.tensordot(y[number], jacobian.squeeze(3).squeeze(0), 3).squeeze(0)  # type: ignore[union-attr]
        assert product.shape == (g.styles_per_image, 6)
        assert lengths[number].item() == pytest.approx(product.square().sum(1).mean().sqrt().item(), rel=1e-9)


def test_the_path_regularisation_pulls_lengths_to_their_running_mean() -> None:
    g, d = doubles()
    d.path_length.fill_(3.0)
    z = latents_of(5)
    torch.manual_seed(5)
    lengths = path_lengths(g, z, None).detach()
    torch.manual_seed(5)
    term = SMALL.g_regularisation(g, d, z, None)["path"]
    mean = 0.99 * 3 + 0.01 * lengths.mean().item()
    assert d.path_length.item() == pytest.approx(mean, rel=1e-6)
    assert term.item() == pytest.approx(2 * (lengths - mean).square().mean().item(), rel=1e-6)
    term.backward()
    assert g.start.grad is not None and g.start.grad.isfinite().all()


def test_a_given_width_counts() -> None:
    few, many = (StyleGAN2(width=1000).fitted(SPEC, images, 40_000) for images in (100, 10**6))
    assert few.max_width == many.max_width == 1000
    assert StyleGAN2().fitted(SPEC, 100, 40_000).max_width == 256


def test_lazy_terms_correct_rates_and_decays_of_adam() -> None:
    """By k / (k + 1), for R1 every 16 steps and path lengths every 8; without path lengths G's stay as they are."""
    g, d = doubles()
    of_g, of_d = SMALL.optimizers(g, d)
    rates = SMALL.schedule(10**6)
    assert (rates.g_lr, rates.d_lr) == (pytest.approx(2.5e-3 * 8 / 9), pytest.approx(2.5e-3 * 16 / 17))
    assert of_g.param_groups[0]["betas"] == (0.0, pytest.approx(0.99 ** (8 / 9)))
    assert of_d.param_groups[0]["betas"] == (0.0, pytest.approx(0.99 ** (16 / 17)))
    assert StyleGAN2(path_weight=0.0).schedule(0).g_lr == 2.5e-3 and StyleGAN2(path_weight=0.0).g_interval == 0


def test_the_average_forgets_early_weights_soon() -> None:
    """Its half-life is a twentieth of the images seen, up to 10,000."""
    assert [SMALL.schedule(seen).ema_half_life for seen in (0, 1000, 10**6)] == [0, 50, 10_000]
    assert ramped_half_life(10_000, 1000) == 50 and SMALL.schedule(1000).ema_decay(50) == 0.5


def test_r1_is_that_of_the_paper() -> None:
    _, d = doubles()
    images = torch.rand(4, *SPEC.shape, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(d(images).sum(), images)
    expected = SMALL.gamma / 2 * slope.flatten(1).square().sum(1).mean()
    real = Batch(images.detach())
    torch.testing.assert_close(SMALL.d_regularisation(d, real, SMALL.schedule(0))["r1"], expected)


def test_losses_are_sums_of_cross_entropies() -> None:
    real, fake = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 3.0])
    expected = -real.sigmoid().log().mean() - (1 - fake.sigmoid()).log().mean()
    torch.testing.assert_close(SMALL.d_adversarial(real, fake), expected)
    torch.testing.assert_close(SMALL.g_adversarial(fake), -fake.sigmoid().log().mean())


def test_an_image_is_a_function_of_its_latent_and_noise_a_part_of_it() -> None:
    g, _ = doubles()
    g.eval()
    z = latents_of(5)
    with torch.no_grad():
        for layer in g.layers:
            layer.strength.fill_(0.5)  # type: ignore[operator,union-attr]
        images = g(z)
        torch.testing.assert_close(g(z[3:4]), images[3:4], rtol=1e-9, atol=1e-9)
        for first in (6, z.shape[1] - 1):  # all noise, and the last pixel's
            other = z.clone()
            other[:, first:] += 1
            assert torch.equal(g.mapping(other), g.mapping(z)) and not torch.equal(g(other), images)
        assert torch.equal(g.synthesis(g.mapping(z), z), images)
        silent = StyleGAN2(width=4, max_width=8, noise=False, latent_dim=6).fitted(SPEC, 1000, 40_000)
        assert silent.latent_values(SPEC) == 6


def test_mixed_styles_are_one_latents_up_to_a_place_and_anothers_from_there() -> None:
    g, _ = doubles()
    z = latents_of(400)
    torch.manual_seed(3)
    own = (g.mixed(z) == g.mapping(z)).all(2)
    kept = own.sum(1)
    assert torch.equal(own, torch.arange(g.styles_per_image) < kept[:, None]), "no way back to the first"
    assert kept.min() == 1 and set(kept.tolist()) == set(range(1, g.styles_per_image + 1))
    assert (kept == g.styles_per_image).double().mean().item() == pytest.approx(0.1, abs=0.05)
    assert not torch.equal(g(z[:4]), g(z[:4])) and torch.equal(g.eval()(z[:4]), g(z[:4]))


def test_a_label_enters_the_mapping_and_is_projected_in_d() -> None:
    recipe = StyleGAN2(width=4, max_width=8, latent_dim=6, conditional=True).fitted(SPEC, 1000, 40_000)
    g, d = doubles(recipe)
    z, labels = latents_of(4, recipe), torch.arange(4)
    assert not torch.equal(g.mapping(z, labels), g.mapping(z, 3 - labels))
    images, values = g(z, labels).detach(), list[Tensor]()
    d.logit.register_forward_hook(lambda layer, inputs, output: values.append(output))
    logits = d(images, labels)
    for number in range(4):
        label = d.to_label(None, labels[number : number + 1])[0]  # type: ignore[misc]
        expected = (values[0][number] * label).sum() / math.sqrt(8)
        torch.testing.assert_close(logits[number], expected)


@pytest.mark.parametrize(
    ("spec", "images", "width", "channels", "augmentation"),
    [
        (Spec(3, 64, 64), 3000, 16, 256, "ada"),
        (Spec(3, 32, 32), 50_000, 64, 512, "none"),
        (Spec(3, 256, 256), 70_000, 8, 512, "none"),
        (Spec(1, 28, 28), 60_000, 64, 256, "none"),
    ],
)
def test_widths_follow_the_size_and_the_number_of_pictures(
    spec: Spec, images: int, width: int, channels: int, augmentation: str
) -> None:
    recipe = StyleGAN2().fitted(spec, images, 10**6)
    assert (recipe.width, recipe.latent_dim) == (width, channels)
    assert recipe.augmentation(spec, images) == augmentation
    assert recipe.gamma == pytest.approx(0.0002 * spec.height * spec.width / 32)
