"""The autoencoder's shapes, and the scale of its latents."""

import pytest
import torch
from torch import nn

from gancli.models.autoencoder import Autoencoder, latent_shape


@pytest.mark.parametrize(
    ("shape", "latents"),
    [
        ((3, 64, 64), (5, 4, 4)),
        ((1, 32, 32), (5, 4, 4)),
        ((1, 28, 28), (5, 4, 4)),
        ((4, 18, 33), (5, 5, 9)),
        ((3, 64, 96), (5, 4, 6)),
        ((3, 256, 256), (5, 4, 4)),
    ],
    ids=str,
)
def test_any_picture_becomes_about_four_places_and_comes_back_in_its_size(
    shape: tuple[int, int, int], latents: tuple[int, int, int]
) -> None:
    network, images = Autoencoder(shape, 5, 16), torch.rand(2, *shape)
    assert latent_shape(shape, 5) == latents
    assert network.encoder(images).shape == (2, *latents)
    assert network(images).shape == images.shape


def test_latents_have_no_mean_and_unit_variance_whatever_the_last_layer_does() -> None:
    network = Autoencoder((3, 32, 32), 4, 16).encoder
    with torch.no_grad():
        network.layers[-1].weight.mul_(100)  # type: ignore[union-attr,operator]
        variance, mean = torch.var_mean(network(torch.rand(16, 3, 32, 32)), (0, 2, 3), correction=0)
    assert mean.abs().max() < 1e-3
    assert (variance - 1).abs().max() < 1e-3


def test_noise_is_what_the_decoder_sees_beside_the_latents() -> None:
    network, images = Autoencoder((3, 16, 16), 4, 16).eval(), torch.rand(4, 3, 16, 16)
    torch.manual_seed(0)
    noisy = network(images, 0.5)
    torch.manual_seed(0)
    latents = network.encoder(images)
    assert torch.equal(noisy, network.decoder(latents + 0.5 * torch.randn_like(latents)))
    assert torch.equal(network(images), network.decoder(latents))


def test_mean_colours_pass_both_halves_linearly() -> None:
    """Where convolutions do nothing, two pictures' latents differ by their mean colours alone."""
    network = Autoencoder((3, 16, 16), 3, 16).eval()
    encoder, decoder = network.encoder, network.decoder
    with torch.no_grad():
        for layer in (encoder.layers[-1], *decoder.details, decoder.colours):
            nn.init.zeros_(layer.weight)  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        for layer in (encoder.colours, decoder.colours):
            layer.weight.copy_(torch.eye(3)[:, :, None, None])
        colour = torch.tensor([0.5, -0.25, 0.75])[:, None, None].expand(3, 16, 16)
        again = network(colour[None])
    assert torch.allclose(again[0], colour, atol=1e-4)
