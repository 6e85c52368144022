"""Perceptrons for points in the plane, ``(N, 2, 1, 1)``."""

from collections.abc import Callable
from itertools import pairwise

from torch import Tensor, nn

HIDDEN = 256
"""Units of a hidden layer."""
LAYERS = 3
"""Number of hidden layers."""


def leaky() -> nn.Module:
    """LeakyReLU of slope 0.2."""
    return nn.LeakyReLU(0.2)


def perceptron(
    inputs: int,
    outputs: int,
    hidden: int = HIDDEN,
    layers: int = LAYERS,
    activation: Callable[[], nn.Module] = leaky,
) -> nn.Sequential:
    """Linear layers with an activation after each except the last."""
    sizes = [inputs, *[hidden] * layers]
    hidden_layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        hidden_layers += [nn.Linear(before, after), activation()]
    return nn.Sequential(*hidden_layers, nn.Linear(sizes[-1], outputs))


class Generator(nn.Module):
    """latent -> unbounded coordinates, by ``layers``; None for a `perceptron` with ReLU.

    ReLU bends more sharply than LeakyReLU, so fewer points fall between modes.
    """

    def __init__(self, latent_dim: int, coordinates: int, layers: nn.Sequential | None = None) -> None:
        super().__init__()
        self.layers = layers or perceptron(latent_dim, coordinates, activation=nn.ReLU)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents ``(N, latent_dim)`` -> points ``(N, coordinates, 1, 1)``; labels are ignored."""
        return self.layers(latents)[:, :, None, None]


class Discriminator(nn.Module):
    """coordinates -> logit, by ``layers``; None for a `perceptron`."""

    def __init__(self, coordinates: int, layers: nn.Sequential | None = None) -> None:
        super().__init__()
        self.layers = layers or perceptron(coordinates, 1)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Points ``(N, coordinates, 1, 1)`` -> logits ``(N,)``; labels are ignored."""
        return self.layers(images.flatten(1)).squeeze(1)
