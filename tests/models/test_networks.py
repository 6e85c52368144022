"""Shared networks: what their papers say of them that can be computed."""

import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from gancli.models import convolutional
from gancli.models.convolutional import Norm
from gancli.models.maxout import Maxout
from gancli.models.resampling import downsampled, upsampled
from gancli.models.residual import Discriminator, Generator, LabelNorm


def test_spectral_normalisation_bounds_every_layer() -> None:
    torch.manual_seed(0)
    d = Discriminator(8, (3, 16, 16), classes=4)
    images, labels = torch.randn(4, 3, 16, 16), torch.arange(4)
    for _ in range(50):
        d(images, labels)
    layers = [m for m in d.modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.Embedding)]
    assert len(layers) > 8
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, rel=0.02)


def test_the_projection_adds_the_inner_product_with_the_label() -> None:
    d = Discriminator(8, (1, 8, 8), classes=3).eval()
    images = torch.randn(2, 1, 8, 8)
    features = d.blocks(images).relu().sum((2, 3))
    difference = d(images, torch.tensor([0, 0])) - d(images, torch.tensor([2, 2]))
    assert d.embedding is not None
    embedding = d.embedding.weight
    torch.testing.assert_close(difference, features @ (embedding[0] - embedding[2]))  # type: ignore[operator]


def test_conditional_normalisation_uses_the_labels_gain_and_bias() -> None:
    norm = LabelNorm(2, 3)
    assert norm.gain is not None and norm.bias is not None
    norm.gain.weight.data[1], norm.bias.weight.data[1] = 5.0, 7.0
    maps = torch.randn(6, 2, 4, 4)
    labels = torch.tensor([0, 1] * 3)
    plain = nn.BatchNorm2d(2, affine=False)(maps)
    found = norm(maps, labels)
    torch.testing.assert_close(found[0::2], plain[0::2])
    torch.testing.assert_close(found[1::2], 5 * plain[1::2] + 7)


def test_a_generator_of_many_sizes_ends_at_the_size_asked_for() -> None:
    for shape in ((1, 8, 8), (3, 20, 33), (4, 64, 48)):
        assert Generator(5, 4, shape)(torch.randn(2, 5)).shape == (2, *shape)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 10), (5, 5)])
def test_resampling_keeps_constants_and_rounds_up(height: int, width: int) -> None:
    maps = torch.full((2, 3, height, width), 0.7)
    assert torch.allclose(downsampled(maps), torch.full((2, 3, (height + 1) // 2, (width + 1) // 2), 0.7))
    assert torch.allclose(upsampled(maps), torch.full((2, 3, 2 * height, 2 * width), 0.7))


def test_halving_is_the_transpose_of_doubling_away_from_the_border() -> None:
    x, y = torch.randn(1, 1, 16, 16).double(), torch.zeros(1, 1, 8, 8).double()
    y[:, :, 2:6, 2:6] = torch.randn(4, 4)
    assert (upsampled(y) * x).sum().item() == pytest.approx(4 * (y * downsampled(x)).sum().item())
    assert torch.equal(upsampled(y), interpolate(y, scale_factor=2, mode="bilinear"))


def test_maxout_is_the_largest_piece() -> None:
    layer = Maxout(4, 3, 2)
    values = torch.randn(5, 4)
    pieces = layer.linear(values).view(5, 3, 2)
    assert torch.equal(layer(values), torch.maximum(pieces[..., 0], pieces[..., 1]))


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
def test_a_fresh_convolutional_discriminator_has_a_gradient_of_about_one(norm: Norm) -> None:
    torch.manual_seed(0)
    images = (torch.rand(16, 1, 28, 28) * 2 - 1).requires_grad_()
    (gradient,) = torch.autograd.grad(convolutional.Discriminator(32, (1, 28, 28), norm)(images).sum(), images)
    assert 0.2 < gradient.flatten(1).norm(dim=1).mean().item() < 5
