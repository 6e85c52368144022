"""The gradient penalty against a discriminator whose gradient is known."""

import pytest
import torch
from torch import Tensor, nn

from gancli.penalties import zero_centred


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
    assert seen == [torch.float32]
    assert penalty.dtype == torch.float32
