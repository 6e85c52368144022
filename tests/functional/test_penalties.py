"""Gradient penalties against a discriminator whose gradient is known."""

import pytest
import torch
from torch import Tensor, nn

from gancli.functional.penalties import around, between, one_centred, zero_centred


class Quadratic(nn.Module):
    """D(x) = w |x|^2 / 2, whose gradient is w x."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(3.0))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return 0.5 * self.w * images.square().flatten(1).sum(1)


def test_value_and_gradient_are_those_of_the_closed_form() -> None:
    d, images = Quadratic(), torch.randn(8, 2, 3, 3)
    penalty = zero_centred(d, images, None)
    mean_square = images.square().flatten(1).sum(1).mean().item()
    assert penalty.item() == pytest.approx(0.5 * 9 * mean_square, rel=1e-5)
    (gradient,) = torch.autograd.grad(penalty, d.w)
    assert gradient.item() == pytest.approx(3 * mean_square, rel=1e-5)


def test_it_stays_in_float32_under_autocast() -> None:
    d = nn.Sequential(nn.Flatten(), nn.Linear(9, 1))
    seen = []
    d[1].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))

    class Ignoring(nn.Module):
        def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
            return d(images).squeeze(1)

    with torch.autocast("cpu", torch.bfloat16):
        penalty = zero_centred(Ignoring(), torch.randn(4, 1, 3, 3), None)
    assert set(seen) == {torch.float32}
    assert penalty.dtype == torch.float32


def test_the_one_centred_penalty_and_its_gradient_are_those_of_the_closed_form() -> None:
    d, images = Quadratic(), torch.randn(8, 2, 3, 3)
    norms = images.flatten(1).norm(dim=1)
    penalty = one_centred(d, images, None)
    assert penalty.item() == pytest.approx((3 * norms - 1).square().mean().item(), rel=1e-5)
    (gradient,) = torch.autograd.grad(penalty, d.w)
    assert gradient.item() == pytest.approx((2 * (3 * norms - 1) * norms).mean().item(), rel=1e-5)


def test_points_between_lie_on_the_lines_and_cover_them() -> None:
    real, fake = torch.zeros(2000, 1, 2, 2), torch.ones(2000, 1, 2, 2)
    shares = between(real, fake).flatten(1)
    assert torch.equal(shares, shares[:, :1].expand_as(shares)), "one share for a whole image"
    assert shares.min() < 0.01 and shares.max() > 0.99
    assert shares[:, 0].mean().item() == pytest.approx(0.5, abs=0.03)


def test_points_around_have_noise_of_a_share_of_the_deviation() -> None:
    real = torch.randn(500, 1, 8, 8) * 3 + 1
    noise = around(real, 0.2) - real
    assert noise.mean().item() == pytest.approx(0, abs=0.02)
    assert noise.std().item() == pytest.approx(0.2 * real.std().item(), rel=0.05)
    assert abs((noise * real).mean().item()) < 0.05, "noise does not depend on the image"
