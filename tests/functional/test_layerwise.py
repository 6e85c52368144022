"""Gradients put together layer by layer against autograd's own, single and double."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad

from gancli import recipes
from gancli.functional import layerwise, penalties
from gancli.recipes.base import Spec

N = 6


class Judging(nn.Module):
    """Layers from images to a logit."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.layers(images).squeeze(1)


class Skipping(nn.Module):
    """A residual sum, a bias that is merely added, and one layer that is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.bias = nn.Linear(8, 8), Bias()

    def forward(self, values: Tensor) -> Tensor:
        return values + 0.5 * self.layer(self.bias(self.layer(values)).relu())


class Bias(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.randn(8))

    def forward(self, values: Tensor) -> Tensor:
        return nn.functional.leaky_relu(values + self.bias, 0.1)


class Scaled(nn.Module):
    """A linear map whose weight is computed, so that no layer holds it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 16))

    def forward(self, values: Tensor) -> Tensor:
        return linear(values, 0.3 * self.weight)


class Padded(nn.Module):
    def forward(self, maps: Tensor) -> Tensor:
        return pad(maps, (1, 1, 1, 1), mode="replicate")


def of_recipe(name: str, spec: Spec, **changes: Any) -> nn.Module:
    return recipes.find(name)(**changes).fitted(spec, 1000, 1000).networks(spec)[1]


GROUPED = lambda: Judging(  # noqa: E731
    Padded(), nn.Conv2d(1, 4, 3, 2), nn.LeakyReLU(0.2, True), nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=2),
    nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, 1),
)  # fmt: skip
LINEAR: dict[str, Callable[[], nn.Module]] = {
    "perceptron": lambda: of_recipe("vanilla", Spec(1, 8, 8)),
    "points": lambda: of_recipe("wgan-gp", Spec(2, 1, 1, 0, 1.0)),
    "strided": lambda: of_recipe("dragan", Spec(1, 8, 8), width=4),
    "residual": lambda: of_recipe("r3gan", Spec(3, 9, 8), width=16, network="residual"),
    "grouped": GROUPED,
    "pooled": lambda: Judging(nn.Conv2d(1, 4, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 1, bias=False)),
    "skipping": lambda: Judging(nn.Flatten(), nn.Linear(64, 8), Skipping(), nn.Linear(8, 1)),
    "one layer": lambda: Judging(nn.Flatten(), nn.Linear(64, 1)),
    "averaged": lambda: Judging(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1)),
    "enlarged": lambda: Judging(
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Conv2d(1, 2, 3, stride=(3, 2), bias=False),
        nn.Hardtanh(),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(2, 2, 2, 2, groups=2),
        nn.Flatten(),
        nn.Linear(70, 1),
    ),
}
OTHER: dict[str, Callable[[], nn.Module]] = {
    "smooth": lambda: Judging(nn.Flatten(), nn.Linear(64, 4), nn.Tanh(), nn.Linear(4, 1)),
    "normalised": lambda: of_recipe("wgan-gp", Spec(1, 8, 8), width=4),
    "computed weight": lambda: Judging(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), Scaled(), nn.Linear(8, 1)),
    "spectral": lambda: Judging(nn.Flatten(), nn.utils.parametrizations.spectral_norm(nn.Linear(64, 1))),
    "gated": lambda: Judging(nn.Flatten(), nn.Linear(64, 8), Gated(), nn.Linear(8, 1)),
    "gain": lambda: Judging(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), Gain(), nn.Linear(8, 1)),
}


class Gated(nn.Module):
    """Made of nothing but products and slopes, and yet a square."""

    def forward(self, values: Tensor) -> Tensor:
        return values * values.relu()


class Gain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.randn(8))

    def forward(self, values: Tensor) -> Tensor:
        return values * self.gain


def made(build: Callable[[], nn.Module], dtype: torch.dtype = torch.float64) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(3)
    d = build().to(dtype)
    with torch.no_grad():
        for parameter in d.parameters():  # no weight of zero, behind which everything vanishes
            parameter += 0.1 * torch.randn_like(parameter)
    channels, size = {"points": (2, (1, 1)), "residual": (3, (9, 8))}.get(_name(build), (1, (8, 8)))
    return d, torch.randn(N, channels, *size, dtype=dtype)


def _name(build: Callable[[], nn.Module]) -> str:
    return next(name for name, other in {**LINEAR, **OTHER}.items() if other is build)


def is_linear(d: nn.Module, images: Tensor) -> bool:
    with layerwise.watched(d) as visits:
        logits = d(images.clone().requires_grad_(), None)
    return layerwise.covered(logits, visits) and layerwise.piecewise_linear(logits, visits)


def loss_of(logits: Tensor, squares: Tensor) -> Tensor:
    """Something nonlinear in both, with other weights for each image."""
    weights = torch.linspace(0.5, 2, N, dtype=logits.dtype)
    return (weights * (logits.sin() + (squares + 0.3).log())).sum()


def by_double_backward(d: nn.Module, images: Tensor) -> list[Tensor]:
    points = images.clone().requires_grad_()
    logits = d(points, None)
    (gradient,) = torch.autograd.grad(logits.sum(), points, create_graph=True)
    loss = loss_of(logits, 0.5 * gradient.flatten(1).square().sum(1))
    return list(torch.autograd.grad(loss, list(d.parameters()), materialize_grads=True))


@pytest.mark.parametrize("build", [*LINEAR.values(), *OTHER.values()], ids=[*LINEAR, *OTHER])
def test_penalties_have_double_backwards_gradient_by_whichever_way(build: Callable[[], nn.Module]) -> None:
    d, images = made(build)
    d.eval()  # spectral normalisation goes on with each pass in training
    assert is_linear(d, images) == (build in LINEAR.values())
    loss = loss_of(*penalties.zero_centred_with_logits(d, images, None))
    found = torch.autograd.grad(loss, list(d.parameters()), materialize_grads=True)
    for ours, theirs in zip(found, by_double_backward(d, images), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("count", [1, N])
def test_slopes_at_exactly_zero_are_double_backwards(count: int) -> None:
    """A black image in layers without bias: every activation is zero, and every slope that of a corner."""
    torch.manual_seed(0)
    d = Judging(
        nn.Conv2d(1, 4, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(144, 8, bias=False), nn.LeakyReLU(0.2),
        nn.Linear(8, 1),
    ).double()  # fmt: skip
    images = torch.randn(count, 1, 8, 8, dtype=torch.float64)
    images[0] = 0
    assert is_linear(d, images)
    _, squares = penalties.zero_centred_with_logits(d, images, None)
    found = torch.autograd.grad(squares.sum(), list(d.parameters()), materialize_grads=True)
    points = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(d(points).sum(), points, create_graph=True)
    expected = torch.autograd.grad(0.5 * gradient.square().sum(), list(d.parameters()), materialize_grads=True)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("build", LINEAR.values(), ids=LINEAR)
def test_float32_is_as_exact_as_double_backward(build: Callable[[], nn.Module]) -> None:
    d, images = made(build, torch.float32)
    loss = loss_of(*penalties.zero_centred_with_logits(d, images, None))
    found = torch.autograd.grad(loss, list(d.parameters()), materialize_grads=True)
    for ours, theirs in zip(found, by_double_backward(d, images), strict=True):
        assert (ours - theirs).norm() <= 1e-5 * theirs.norm() + 1e-7


def test_frozen_layers_get_no_gradient_and_the_others_the_right_one() -> None:
    d, images = made(LINEAR["strided"])
    expected = by_double_backward(d, images)
    first = next(d.parameters())
    first.requires_grad_(False)
    loss_of(*penalties.zero_centred_with_logits(d, images, None)).backward()
    assert first.grad is None
    for parameter, wanted in list(zip(d.parameters(), expected, strict=True))[1:]:
        torch.testing.assert_close(parameter.grad, wanted, rtol=1e-9, atol=1e-12)


def test_a_gradient_of_zero_is_no_trouble_to_the_one_centred_penalty() -> None:
    d = Judging(nn.Flatten(), nn.Linear(4, 1))
    nn.init.zeros_(d.layers[1].weight)
    penalty = penalties.one_centred(d, torch.randn(N, 1, 2, 2), None)
    assert penalty.item() == pytest.approx(1)
    penalty.backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in d.parameters())


def test_nothing_is_left_watched() -> None:
    d, images = made(LINEAR["strided"])
    penalties.zero_centred(d, images, None)
    assert not any(module._forward_hooks for module in d.modules())
