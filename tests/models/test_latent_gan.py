"""Networks for latents: shapes, classes, second derivatives, and attention against torch's own."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from gancli.functional import penalties
from gancli.functional.principal import principal_axes
from gancli.models import latent_gan

KINDS = pytest.mark.parametrize("kind", ["perceptrons", "convolutions", "transformers"])


def made(kind: str, shape: tuple[int, int, int], classes: int = 0) -> tuple[Any, Any]:
    torch.manual_seed(0)
    return getattr(latent_gan, kind)(6, shape, 16, 1, classes)


@KINDS
@pytest.mark.parametrize("shape", [(4, 8, 8), (3, 7, 9)], ids=str)
def test_latents_of_any_shape_are_drawn_and_judged(kind: str, shape: tuple[int, int, int]) -> None:
    g, d = made(kind, shape)
    latents = g(torch.randn(5, 6))
    assert latents.shape == (5, *shape)
    assert d(latents).shape == (5,)


@KINDS
def test_classes_change_what_is_drawn_and_how_it_is_judged(kind: str) -> None:
    g, d = made(kind, (4, 8, 8), classes=3)
    z, ones, twos = torch.randn(2, 6), torch.tensor([1, 1]), torch.tensor([2, 2])
    assert torch.equal(g(z, ones), g(z, twos)), "at first they share one normal distribution"
    trained(g)
    assert not torch.equal(g(z, ones), g(z, twos))
    assert not torch.equal(d(g(z, ones), ones), d(g(z, ones), twos))


def trained(network: Any) -> None:
    """Give the layers that begin at zero other weights; they hide those before them."""
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)


def axes_of(latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return principal_axes(latents.flatten(1), 6)


@KINDS
def test_g_begins_with_the_mean_and_the_covariance_of_the_latents(kind: str) -> None:
    g, _ = made(kind, (3, 1, 2))
    latents = (torch.randn(500, 6) @ torch.randn(6, 6) + torch.randn(6)).unflatten(1, (3, 1, 2))
    assert g(torch.randn(20_000, 6)).var(0).mean().item() == pytest.approx(1, abs=0.4), "random axes before"
    g.fit(*axes_of(latents))
    wanted, drawn = (each.flatten(1).detach().numpy() for each in (latents, g(torch.randn(100_000, 6))))
    assert drawn.mean(0) == pytest.approx(wanted.mean(0), abs=0.05)
    assert np.cov(drawn.T) == pytest.approx(np.cov(wanted.T), rel=0.05, abs=0.1)
    axes = g.axes.clone()
    g.fit(*axes_of(2 * latents))
    assert torch.equal(g.axes, axes), "a second time nothing changes"


def test_axes_beyond_those_of_the_latents_do_nothing() -> None:
    g, _ = made("perceptrons", (1, 1, 2))
    g.fit(*axes_of(torch.randn(50, 1, 1, 2)))
    z = torch.randn(4, 6)
    assert torch.equal(g(z), g(torch.cat([z[:, :2], torch.randn(4, 4)], 1)))


@KINDS
def test_a_penalty_of_the_gradient_reaches_every_weight_that_it_depends_on(kind: str) -> None:
    _, d = made(kind, (4, 8, 8))
    trained(d)
    penalties.zero_centred(d, torch.randn(3, 4, 8, 8), None).backward()
    weights = {name: p.grad for name, p in d.named_parameters() if p.ndim > 1 and not name.endswith("places")}
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in weights.values()), weights.keys()


def test_attention_is_torchs() -> None:
    torch.manual_seed(0)
    layer, tokens = latent_gan.Attention(64), torch.randn(2, 5, 64)
    query, key, value = (part.unflatten(2, (2, 32)).transpose(1, 2) for part in layer.project(tokens).chunk(3, 2))
    wanted = layer.merge(scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))
    assert torch.allclose(layer(tokens), wanted, atol=1e-6)
