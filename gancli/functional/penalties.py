"""Gradient penalties of discriminators, always in fp32 at least.

``d`` maps images, float ``(N, C, H, W)`` in [-1, 1], and labels to logits ``(N,)``. Each gradient is that of all
logits by one image, which is that of its own where D does not mix samples. Where D is piecewise linear a penalty costs
four passes instead of the six of double backward; see `gancli.functional.layerwise`, which decides which it is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from gancli.functional import layerwise
from gancli.functional.layerwise import Visit
from gancli.functional.losses import at_least_fp32

Judge = Callable[[Tensor, Tensor | None], Tensor]
TINY = 1e-36
"""Below it a squared gradient counts as zero, where the gradient of its root would be infinite."""


def zero_centred(d: Judge, images: Tensor, labels: Tensor | None) -> Tensor:
    """E[|grad_x D(x)|^2] / 2, float32 scalar: R1 on real images, R2 on generated ones.

    Mescheder 2018 (arXiv:1801.04406), eq. 9 and 10 without gamma.
    """
    return zero_centred_with_logits(d, images, labels)[1].mean()


def zero_centred_with_logits(d: Judge, images: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
    """D's logits ``(N,)`` and |grad_x D(x)|^2 / 2 of each image ``(N,)``, both float32, from one forward pass.

    The mean of the second over real images is R1, over generated ones R2; see `zero_centred`.
    """
    d = getattr(d, "_orig_mod", d)  # compiled code can be differentiated once only, and hides its layers
    with torch.autocast(images.device.type, enabled=False):
        points = at_least_fp32(images.detach()).requires_grad_()
        if isinstance(d, nn.Module) and layerwise.may_be_piecewise_linear(d):
            with layerwise.watched(d) as visits:
                logits = d(points, labels)
            if layerwise.covered(logits, visits) and layerwise.piecewise_linear(logits, visits):
                trained = [parameter for visit in visits for parameter in visit.trained]
                return _PiecewiseLinear.apply(_Judged(points, logits, visits), *trained)
        logits = d(points, labels)
        (gradient,) = torch.autograd.grad(logits.sum(), points, create_graph=True)
        return logits, 0.5 * gradient.flatten(1).square().sum(1)


def one_centred(d: Judge, images: Tensor, labels: Tensor | None) -> Tensor:
    """E[(|grad_x D(x)| - 1)^2], float32 scalar: Gulrajani 2017 (arXiv:1704.00028), eq. 3 without lambda,
    at the points that `between` (WGAN-GP) or `around` (DRAGAN) gives.
    """
    squares = 2 * zero_centred_with_logits(d, images, labels)[1]
    return (squares.clamp_min(TINY).sqrt() - 1).square().mean()


def one_centred_weight(asked: float, points: bool) -> float:
    """Lambda of `one_centred`: Gulrajani's 10 for pictures, and the 0.1 of his code's toy data for points, if -1."""
    return asked if asked >= 0 else (0.1 if points else 10.0)


def between(real: Tensor, fake: Tensor) -> Tensor:
    """A point of each line from a real to a generated image, uniform on it: Gulrajani 2017, algorithm 1, line 6.

    Images ``(N, C, H, W)``; draws from torch's global generator.
    """
    share = torch.rand(len(real), 1, 1, 1, device=real.device)
    return real + share * (fake - real)


def around(real: Tensor, deviation: float) -> Tensor:
    """Real images ``(N, C, H, W)`` plus normal noise, its deviation that of all their values times ``deviation``.

    Kodali 2017 (arXiv:1705.07215), algorithm 1. In the notebook by which DRAGAN is known the noise is uniform in
    [0, 0.5) of the images' deviation, times a share uniform in [0, 1): .17 of it in root mean square. Draws from
    torch's global generator.
    """
    return real + deviation * real.std() * torch.randn_like(real)


@dataclass(frozen=True)
class _Judged:
    """Images that require a gradient, D's logits with their graph, and what its layers saw."""

    points: Tensor
    logits: Tensor
    visits: list[Visit]


class _PiecewiseLinear(torch.autograd.Function):
    """D's logits and |grad_x D(x)|^2 / 2 of each image, whose gradients `layerwise.weight_gradients` gives."""

    @staticmethod
    def forward(ctx: Any, judged: _Judged, *trained: Tensor) -> Any:
        """``trained`` are the visits' weights in their order, named so that autograd asks for their gradients."""
        visits = judged.visits
        ends = [visit.after_edge for visit in visits] + [v.before_edge for v in visits if v.before_edge is not None]
        with torch.enable_grad():
            seed = torch.ones_like(judged.logits).requires_grad_()  # through it the tangents will come forward
            found = torch.autograd.grad((judged.logits,), (judged.points, *ends), (seed,), create_graph=True)  # type: ignore[arg-type]
        ctx.visits, ctx.gradient = visits, found[0]
        ctx.deltas, ctx.inner = found[1 : 1 + len(visits)], found[1 + len(visits) :]
        return judged.logits.detach(), 0.5 * found[0].detach().flatten(1).square().sum(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_logits: Tensor, of_squares: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of the loss for the weights, from those for the logits and for the squares, both ``(N,)``."""
        directions = of_squares.view(-1, *[1] * (ctx.gradient.ndim - 1)) * ctx.gradient.detach()
        pushed = iter(torch.autograd.grad(ctx.gradient, ctx.inner, directions, retain_graph=True))
        found: list[Tensor] = []
        for visit, delta in zip(ctx.visits, ctx.deltas, strict=True):
            tangent = None if visit.before_edge is None else next(pushed)
            found += layerwise.weight_gradients(visit, delta.detach(), of_logits, tangent)
        return None, *found
