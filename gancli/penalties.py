"""Gradient penalties of discriminators, always in fp32."""

import torch
from torch import Tensor, nn


def zero_centred(d: nn.Module, images: Tensor, labels: Tensor | None) -> Tensor:
    """E[|grad_x D(x)|^2] / 2, float32 scalar: R1 on real images, R2 on generated ones.

    Mescheder 2018 (arXiv:1801.04406), eq. 9 and 10 without gamma. ``images`` are float ``(N, C, H, W)`` in
    [-1, 1]. The gradient of each image must not depend on another, so D may not mix samples.
    """
    with torch.autocast(images.device.type, enabled=False):
        points = images.detach().float().requires_grad_()
        (gradient,) = torch.autograd.grad(d(points, labels).sum(), points, create_graph=True)
        return 0.5 * gradient.square().flatten(1).sum(1).mean()
