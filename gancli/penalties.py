"""Gradient penalties of discriminators, always in fp32.

``d`` maps images, float ``(N, C, H, W)`` in [-1, 1], and labels to logits ``(N,)``. The gradient of each image must
not depend on another, so D may not mix samples.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Judge = Callable[[Tensor, Tensor | None], Tensor]


def zero_centred(d: Judge, images: Tensor, labels: Tensor | None) -> Tensor:
    """E[|grad_x D(x)|^2] / 2, float32 scalar: R1 on real images, R2 on generated ones.

    Mescheder 2018 (arXiv:1801.04406), eq. 9 and 10 without gamma.
    """
    return 0.5 * _gradients(d, images, labels).square().sum(1).mean()


def zero_centred_with_logits(d: Judge, images: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
    """D's logits ``(N,)`` and |grad_x D(x)|^2 / 2 of each image ``(N,)``, both float32, from one forward pass.

    The mean of the second over real images is R1, over generated ones R2; see `zero_centred`.
    """
    logits, gradients = _logits_and_gradients(d, images, labels)
    return logits, 0.5 * gradients.square().sum(1)


def one_centred(d: Judge, images: Tensor, labels: Tensor | None) -> Tensor:
    """E[(|grad_x D(x)| - 1)^2], float32 scalar: Gulrajani 2017 (arXiv:1704.00028), eq. 3 without lambda,
    at the points that `between` (WGAN-GP) or `around` (DRAGAN) gives.
    """
    return (_gradients(d, images, labels).norm(dim=1) - 1).square().mean()


def between(real: Tensor, fake: Tensor) -> Tensor:
    """A point of each line from a real to a generated image, uniform on it: Gulrajani 2017, algorithm 1, line 6.

    Images ``(N, C, H, W)``; draws from torch's global generator.
    """
    share = torch.rand(len(real), 1, 1, 1, device=real.device)
    return real + share * (fake - real)


def around(real: Tensor) -> Tensor:
    """Real images ``(N, C, H, W)`` plus noise uniform in [0, std / 2), std being that of all their values.

    Kodali 2017 (arXiv:1705.07215), section 2.3 and the authors' code. Draws from torch's global generator.
    """
    return real + 0.5 * real.std() * torch.rand_like(real)


def _gradients(d: Judge, images: Tensor, labels: Tensor | None) -> Tensor:
    return _logits_and_gradients(d, images, labels)[1]


def _logits_and_gradients(d: Judge, images: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
    """D(x) and dD/dx, float32 ``(N,)`` and ``(N, C * H * W)``, through which gradients can flow on."""
    with torch.autocast(images.device.type, enabled=False):
        points = images.detach().float().requires_grad_()
        logits = d(points, labels)
        (gradient,) = torch.autograd.grad(logits.sum(), points, create_graph=True)
        return logits, gradient.flatten(1)
