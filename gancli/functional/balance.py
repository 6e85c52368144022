"""Balance an adversarial loss against a reconstruction loss by the gradients of a decoder's last layer."""

import torch
from torch import Tensor

from gancli import whole_batch

DELTA = 1e-6
"""Keeps the quotient finite: section 3.2 of the paper."""
MAX_WEIGHT = 1e4
"""Bound of the weight, as in the authors' code."""


def adaptive_weight(rebuilding: Tensor, adversarial: Tensor) -> Tensor:
    """|rebuilding| / (|adversarial| + delta) of two gradients at the same weights; a scalar, at most `MAX_WEIGHT`.

    Esser et al. 2021 (arXiv:2012.09841), eq. 7. Gradients are averaged over the processes that share the batch.

    Example:
        >>> adaptive_weight(torch.tensor([3.0, 4.0]), torch.tensor([0.0, 2.0])).item()  # 5 / 2
        2.499998...
    """
    above, below = (whole_batch.average(each).norm() for each in (rebuilding, adversarial))
    return (above / (below + DELTA)).clamp_max(MAX_WEIGHT).detach()


def gradient(loss: Tensor, images: Tensor) -> Tensor:
    """d(loss) / d(images), of the shape of ``images``, which are leaves; the loss's graph is kept.

    The loss is scaled up meanwhile, since a mean over many values has gradients too small for half precision.
    """
    (scaled,) = torch.autograd.grad(loss * images.numel(), images, retain_graph=True)
    return scaled / images.numel()


def with_gradient(value: Tensor, images: Tensor, slope: Tensor) -> Tensor:
    """A scalar of the same value, whose gradient with respect to ``images`` is ``slope``."""
    return value.detach() + ((images - images.detach()) * slope).sum()
