"""Plain networks for points in the plane, ``(N, 2, 1, 1)``."""

from itertools import pairwise

from torch import Tensor, nn

HIDDEN = 256
LAYERS = 3


def perceptron(inputs: int, outputs: int, hidden: int = HIDDEN, layers: int = LAYERS) -> nn.Sequential:
    """Linear layers with LeakyReLU of slope 0.2 between them."""
    sizes = [inputs, *[hidden] * layers]
    found: list[nn.Module] = []
    for before, after in pairwise(sizes):
        found += [nn.Linear(before, after), nn.LeakyReLU(0.2)]
    return nn.Sequential(*found, nn.Linear(sizes[-1], outputs))


class Generator(nn.Module):
    """latent -> 3 hidden layers -> coordinates, which nothing bounds."""

    def __init__(self, latent_dim: int, coordinates: int) -> None:
        super().__init__()
        self.layers = perceptron(latent_dim, coordinates)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents ``(N, latent_dim)`` -> points ``(N, coordinates, 1, 1)``; labels are ignored."""
        return self.layers(latents)[:, :, None, None]


class Discriminator(nn.Module):
    """coordinates -> 3 hidden layers -> logit."""

    def __init__(self, coordinates: int) -> None:
        super().__init__()
        self.layers = perceptron(coordinates, 1)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Points ``(N, coordinates, 1, 1)`` -> logits ``(N,)``; labels are ignored."""
        return self.layers(images.flatten(1)).squeeze(1)
