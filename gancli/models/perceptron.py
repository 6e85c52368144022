"""Multilayer perceptrons of a well-known GAN tutorial, for small images."""

import math

from torch import Tensor, nn

from gancli.models.convolutional import Shape


class Generator(nn.Module):
    """latent -> 256 -> 512 -> pixels with ReLU; the sigmoid at the end is rescaled from [0, 1] to [-1, 1]."""

    def __init__(self, latent_dim: int, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, 256),
            nn.ReLU(),
            nn.Linear(256, 512),
            nn.ReLU(),
            nn.Linear(512, math.prod(shape)),
            nn.Sigmoid(),
        )

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents ``(N, latent_dim)`` -> images ``(N, C, H, W)``; labels are ignored."""
        return (2 * self.layers(latents) - 1).unflatten(1, self.shape)


class Discriminator(nn.Module):
    """pixels, rescaled to [0, 1] -> 512 -> 256 -> logit, with ReLU."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(math.prod(shape), 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 1)
        )

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images ``(N, C, H, W)`` in [-1, 1] -> logits ``(N,)``; labels are ignored."""
        return self.layers((0.5 * images + 0.5).flatten(1)).squeeze(1)
