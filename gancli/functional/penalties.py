"""Gradient penalties of discriminators, in float32 or float64.

``d`` maps images, float ``(N, C, H, W)`` in [-1, 1], and labels to logits ``(N,)``. An image's gradient is that of the
sum of all logits; if D does not mix samples, this is the gradient of its own logit. If D is piecewise linear, a penalty
takes four passes instead of the six of double backward; see `gancli.functional.layerwise`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from gancli import whole_batch
from gancli.functional import layerwise
from gancli.functional.layerwise import Visit
from gancli.functional.losses import at_least_fp32

Critic = Callable[[Tensor, Tensor | None], Tensor]
"""A discriminator: images and labels to logits."""
MIN_SQUARED_NORM = 1e-36
"""Smaller squared norms are raised to this: the gradient of a root is infinite at zero."""


def zero_centred(d: Critic, images: Tensor, labels: Tensor | None) -> Tensor:
    """1/2 E[|grad_x D(x)|^2], a float32 scalar: R1 on real images, R2 on generated ones.

    Mescheder 2018 (arXiv:1801.04406), eq. 9 and 10, with gamma = 1.

    Example:
        >>> double = lambda images, labels: 2 * images.sum((1, 2, 3))
        >>> zero_centred(double, torch.zeros(5, 1, 2, 2), None).item()  # 4 pixels of gradient 2: (4 * 2^2) / 2
        8.0
    """
    return zero_centred_with_logits(d, images, labels)[1].mean()


def zero_centred_with_logits(d: Critic, images: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
    """Logits ``(N,)`` and 1/2 |grad_x D(x)|^2 ``(N,)`` of each image, both float32, from one forward pass.

    The mean of the second over real images is R1, over generated ones R2; see `zero_centred`.

    Example:
        >>> double = lambda images, labels: 2 * images.sum((1, 2, 3))
        >>> logits, penalty = zero_centred_with_logits(double, torch.ones(1, 1, 2, 2), None)
        >>> logits.item(), penalty.item()  # 2 * 4 and (4 * 2^2) / 2
        (8.0, 8.0)
    """
    d = getattr(d, "_orig_mod", d)  # compiled code hides its layers and can be differentiated only once
    with torch.autocast(images.device.type, enabled=False):
        points = at_least_fp32(images.detach()).requires_grad_()
        if isinstance(d, nn.Module) and layerwise.may_be_piecewise_linear(d):
            with layerwise.watched(d) as visits:
                logits = d(points, labels)
            if layerwise.covered(logits, visits) and layerwise.piecewise_linear(logits, visits):
                trained = [parameter for visit in visits for parameter in visit.trained]
                return _PiecewiseLinear.apply(_Pass(points, logits, visits), *trained)
        logits = d(points, labels)
        (gradient,) = torch.autograd.grad(logits.sum(), points, create_graph=True)
        return logits, 0.5 * gradient.flatten(1).square().sum(1)


def one_centred(d: Critic, images: Tensor, labels: Tensor | None) -> Tensor:
    """E[(|grad_x D(x)| - 1)^2], a float32 scalar: Gulrajani 2017 (arXiv:1704.00028), eq. 3, with lambda = 1.

    For ``images`` WGAN-GP takes points `between` real and generated ones, DRAGAN points `around` real ones.

    Example:
        >>> triple = lambda images, labels: 3 * images[:, 0, 0, 0]
        >>> one_centred(triple, torch.zeros(5, 1, 2, 2), None).item()  # (3 - 1)^2
        4.0
    """
    squared_norms = 2 * zero_centred_with_logits(d, images, labels)[1]
    norms = squared_norms.clamp_min(MIN_SQUARED_NORM).sqrt()
    return (norms - 1).square().mean()


def one_centred_weight(asked: float, points: bool) -> float:
    """The weight lambda of `one_centred`: ``asked``, or Gulrajani's if it is -1 (10 for pictures, 0.1 for points).

    Example:
        >>> one_centred_weight(-1, points=False), one_centred_weight(-1, points=True)
        (10.0, 0.1)
    """
    return asked if asked >= 0 else (0.1 if points else 10.0)


def between(real: Tensor, fake: Tensor) -> Tensor:
    """A uniform point on the line from each real to a generated image: Gulrajani 2017, algorithm 1, line 6.

    Images are ``(N, C, H, W)``. Draws from torch's global generator.

    Example:
        >>> points = between(torch.zeros(9, 1, 2, 2), torch.ones(9, 1, 2, 2))
        >>> bool((points >= 0).all() and (points <= 1).all() and (points == points[:, :, :1, :1]).all())
        True
    """
    epsilon = whole_batch.drawn(lambda like: torch.rand(len(like), 1, 1, 1, device=like.device), real)
    return real + epsilon * (fake - real)


def around(real: Tensor, deviation: float) -> Tensor:
    """Real images ``(N, C, H, W)`` plus normal noise of ``deviation`` times their own standard deviation.

    Kodali 2017 (arXiv:1705.07215), algorithm 1. Draws from torch's global generator.

    Differs from the authors' notebook: its noise is the images' deviation times a number uniform in [0, 0.5) and
    another uniform in [0, 1). Its root mean square is 0.17 of that deviation.

    Example:
        >>> real = torch.tensor([-1.0, 1.0]).repeat(2000).view(-1, 1, 1, 1)
        >>> round((around(real, 0.5) - real).std().item(), 1)
        0.5
    """
    noise = whole_batch.drawn(torch.randn_like, real)
    return real + deviation * whole_batch.gathered(real).std() * noise


@dataclass(frozen=True)
class _Pass:
    """A forward pass of D: images that require a gradient, logits with their graph, and visits of layers."""

    points: Tensor
    logits: Tensor
    visits: list[Visit]


class _PiecewiseLinear(torch.autograd.Function):
    """Logits and 1/2 |grad_x D(x)|^2 of each image, with gradients by `layerwise.weight_gradients`."""

    @staticmethod
    def forward(ctx: Any, done: _Pass, *trained: Tensor) -> Any:
        """``trained`` are the visits' weights in order; autograd needs them as arguments to give them gradients."""
        visits = done.visits
        ends = [visit.after_edge for visit in visits] + [v.before_edge for v in visits if v.before_edge is not None]
        with torch.enable_grad():
            seed = torch.ones_like(done.logits).requires_grad_()  # its gradient function carries the tangents forward
            gradients = torch.autograd.grad((done.logits,), (done.points, *ends), (seed,), create_graph=True)  # type: ignore[arg-type]
        gradient, at_layers = gradients[0], gradients[1:]
        ctx.visits, ctx.gradient = visits, gradient
        ctx.deltas, ctx.inner = at_layers[: len(visits)], at_layers[len(visits) :]
        return done.logits.detach(), 0.5 * gradient.detach().flatten(1).square().sum(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_logits: Tensor, of_squares: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients for the weights from those for the logits and for the squared norms, ``(N,)`` each."""
        directions = of_squares.view(-1, *[1] * (ctx.gradient.ndim - 1)) * ctx.gradient.detach()
        pushed = iter(torch.autograd.grad(ctx.gradient, ctx.inner, directions, retain_graph=True))
        gradients: list[Tensor] = []
        for visit, delta in zip(ctx.visits, ctx.deltas, strict=True):
            tangent = None if visit.before_edge is None else next(pushed)
            gradients += layerwise.weight_gradients(visit, delta.detach(), of_logits, tangent)
        return None, *gradients


def lecam(real: Tensor, fake: Tensor, of_real: Tensor, of_fake: Tensor) -> Tensor:
    """E[max(0, D(x) - a_F)^2] + E[max(0, a_R - D(G(z)))^2]; LeCam, Tseng 2021 (arXiv:2104.03310).

    a_R and a_F, scalars, are moving averages of D's logits ``(N,)`` on real and on generated images. As in the authors'
    code, an image counts only where D's logit is on its own side of the other kind's average.

    Example:
        >>> real, fake, zero = torch.tensor([2.0]), torch.tensor([1.0]), torch.tensor(0.0)
        >>> lecam(real, fake, zero, zero).item()  # the generated image is beyond the real average
        4.0
    """
    return (real - of_fake).relu().square().mean() + (of_real - fake).relu().square().mean()
