"""A mixture of Gaussians over the codes of an autoencoder, drawn from plain normal numbers."""

import math

import torch
from torch import Tensor, nn

from gancli.models.convolutional import Shape

UNREACHED = 2.0
"""A bound above every probability, for components that the mixture does not have."""


class MixturePrior(nn.Module):
    """Maps latents from N(0, I) to codes: the first number chooses a component, the others a place in it.

    A code is ``mean + basis (means[k] + factors[k] z)``, where the normal distribution function of the first number
    lies between bounds ``k - 1`` and ``k``. Before it is fitted, there is one component, and each value of a code has
    unit variance.
    """

    constant = True
    """It has no state that a forward pass updates, so processes need not synchronise it."""
    mean: Tensor
    basis: Tensor
    bounds: Tensor
    means: Tensor
    factors: Tensor

    def __init__(self, latent_dim: int, shape: Shape, components: int) -> None:
        super().__init__()
        self.shape, size, values = shape, latent_dim - 1, math.prod(shape)
        self.register_buffer("mean", torch.zeros(values))
        self.register_buffer("basis", torch.randn(values, size) / math.sqrt(size))
        self.register_buffer("bounds", torch.full((components - 1,), UNREACHED))
        self.register_buffer("means", torch.zeros(components, size))
        self.register_buffer("factors", torch.eye(size).repeat(components, 1, 1))

    def chosen(self, latents: Tensor) -> Tensor:
        """The component of each latent, int64 ``(N,)``."""
        probability = 0.5 * (1 + (latents[:, :1] / math.sqrt(2)).erf())
        return (probability >= self.bounds).sum(1)

    def forward(self, latents: Tensor) -> Tensor:
        """Latents ``(N, latent_dim)`` -> codes ``(N, C, h, w)``."""
        component = self.chosen(latents)
        within = self.means[component] + (self.factors[component] @ latents[:, 1:, None]).squeeze(2)
        return (self.mean + within @ self.basis.T).unflatten(1, self.shape)

    def set(self, mean: Tensor, basis: Tensor, weights: Tensor, means: Tensor, factors: Tensor) -> None:
        """Take over a mixture of K components in D dimensions, in place.

        Args:
            mean: The codes' mean ``(values,)``.
            basis: The axes of the mixture's space ``(values, D)``; D and K may be smaller than this prior's.
            weights: Probabilities of the components ``(K,)``.
            means: Their means ``(K, D)``.
            factors: Factors of their covariances, ``L L^T``, ``(K, D, D)``.
        """
        count, size = means.shape
        for buffer, empty in ((self.basis, 0.0), (self.bounds, UNREACHED), (self.means, 0.0), (self.factors, 0.0)):
            buffer.fill_(empty)
        self.mean.copy_(mean)
        self.basis[:, :size].copy_(basis)
        self.bounds[: count - 1].copy_(weights.cumsum(0)[:-1])
        self.means[:count, :size].copy_(means)
        self.factors[:count, :size, :size].copy_(factors)
