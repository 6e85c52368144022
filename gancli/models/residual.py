"""The residual networks of SNGAN (Miyato 2018, arXiv:1802.05957, appendix B.4), with or without labels.

With labels, as in Miyato and Koyama 2018 (arXiv:1802.05637), G has conditional batch normalisation and D a projection.
Labels are classes int64 ``(N,)``, or conditions float ``(N, K)``, with linear layers in place of embeddings.
"""

import math
from typing import TypeVar

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate
from torch.nn.utils.parametrizations import spectral_norm

from gancli.models.batch_layers import BatchNorm2d
from gancli.models.convolutional import Shape, cropped, doublings
from gancli.models.label_layers import embedding, projected

Weighted = TypeVar("Weighted", bound=nn.Conv2d | nn.Linear | nn.Embedding)


class LabelNorm(nn.Module):
    """Batch normalisation with a gain and bias for each class, or linear in conditions; plain without labels."""

    def __init__(self, channels: int, classes: int, conditions: int = 0) -> None:
        super().__init__()
        self.norm = BatchNorm2d(channels, affine=not (classes or conditions))
        self.gain, self.bias = (embedding(classes, conditions, channels) for _ in range(2))
        if self.gain is not None and self.bias is not None:
            _make_constant(self.gain, 1.0)
            _make_constant(self.bias, 0.0)

    def forward(self, maps: Tensor, labels: Tensor | None) -> Tensor:
        """``(N, C, H, W)`` to the same shape."""
        maps = self.norm(maps)
        if self.gain is None or self.bias is None:
            return maps
        return maps * self.gain(labels)[:, :, None, None] + self.bias(labels)[:, :, None, None]


def _make_constant(layer: nn.Embedding | nn.Linear, value: float) -> None:
    """Make the layer give ``value`` for every label."""
    if isinstance(layer, nn.Linear):
        nn.init.zeros_(layer.weight)
        nn.init.constant_(layer.bias, value)
    else:
        nn.init.constant_(layer.weight, value)


class GeneratorBlock(nn.Module):
    """Double the map: normalise, ReLU, enlarge, 3 x 3, normalise, ReLU, 3 x 3; the shortcut is a 1 x 1."""

    def __init__(self, width: int, classes: int, conditions: int = 0) -> None:
        super().__init__()
        self.norms = nn.ModuleList(LabelNorm(width, classes, conditions) for _ in range(2))
        self.convolutions = nn.ModuleList(initialised(nn.Conv2d(width, width, 3, padding=1)) for _ in range(2))
        self.shortcut = initialised(nn.Conv2d(width, width, 1), gain=1.0)

    def forward(self, maps: Tensor, labels: Tensor | None) -> Tensor:
        """``(N, width, H, W)`` -> ``(N, width, 2 H, 2 W)``."""
        rest = self.convolutions[0](interpolate(self.norms[0](maps, labels).relu(), scale_factor=2))
        rest = self.convolutions[1](self.norms[1](rest, labels).relu())
        return rest + interpolate(self.shortcut(maps), scale_factor=2)


class Generator(nn.Module):
    """A linear layer to a small map, blocks that double it, and a last convolution with tanh."""

    def __init__(self, latent_dim: int, width: int, shape: Shape, classes: int = 0, conditions: int = 0) -> None:
        super().__init__()
        times, self.size = doublings(shape), shape[1:]
        self.base = tuple(math.ceil(side / 2**times) for side in self.size)
        self.project = initialised(nn.Linear(latent_dim, width * self.base[0] * self.base[1]), gain=1.0)
        self.blocks = nn.ModuleList(GeneratorBlock(width, classes, conditions) for _ in range(times))
        self.norm = BatchNorm2d(width)
        self.to_image = initialised(nn.Conv2d(width, shape[0], 3, padding=1), gain=1.0)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents ``(N, latent_dim)`` and labels -> images ``(N, C, H, W)``."""
        maps = self.project(latents).unflatten(1, (-1, *self.base))
        for block in self.blocks:
            maps = block(maps, labels)
        return cropped(self.to_image(self.norm(maps).relu()).tanh(), *self.size)


class DiscriminatorBlock(nn.Module):
    """ReLU, 3 x 3, ReLU, 3 x 3; the shortcut is a 1 x 1. Halved by averaging if ``halves``."""

    def __init__(self, before: int, after: int, halves: bool, first: bool = False) -> None:
        super().__init__()
        self.halves, self.first = halves, first
        self.convolutions = nn.ModuleList(normalised(nn.Conv2d(a, after, 3, padding=1)) for a in (before, after))
        learned = halves or before != after
        self.shortcut = normalised(nn.Conv2d(before, after, 1), gain=1.0) if learned else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        """``(N, before, H, W)`` -> ``(N, after, H, W)`` or half of that; the first block has no ReLU on the image."""
        rest = self.convolutions[0](maps if self.first else maps.relu())
        rest = self.convolutions[1](rest.relu())
        if not self.halves:
            return rest + self.shortcut(maps)
        return halved(rest) + (self.shortcut(halved(maps)) if self.first else halved(self.shortcut(maps)))


class Discriminator(nn.Module):
    """Two or more blocks that halve the image, two that do not, and a sum over the map."""

    def __init__(self, width: int, shape: Shape, classes: int = 0, conditions: int = 0) -> None:
        super().__init__()
        halvings = max(2, doublings(shape) - 1)
        blocks = [DiscriminatorBlock(shape[0], width, halves=True, first=True)]
        blocks += [DiscriminatorBlock(width, width, halves=True) for _ in range(halvings - 1)]
        self.blocks = nn.Sequential(*blocks, *(DiscriminatorBlock(width, width, halves=False) for _ in range(2)))
        self.logit = normalised(nn.Linear(width, 1), gain=1.0)
        of_label = embedding(classes, conditions, width)
        self.embedding = None if of_label is None else normalised(of_label, gain=1.0)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images ``(N, C, H, W)`` and labels -> logits ``(N,)``."""
        features = self.blocks(images).relu().sum((2, 3))
        return projected(self.logit(features).squeeze(1), features, self.embedding, labels)


def halved(maps: Tensor) -> Tensor:
    """``(N, C, H, W)`` -> ``(N, C, ceil(H / 2), ceil(W / 2))`` by averaging."""
    return avg_pool2d(maps, 2, ceil_mode=True)


def initialised(layer: Weighted, gain: float = math.sqrt(2)) -> Weighted:
    """The layer with Glorot's uniform weights times ``gain`` and a bias of zero."""
    nn.init.xavier_uniform_(layer.weight, gain)
    if not isinstance(layer, nn.Embedding) and layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def normalised(layer: Weighted, gain: float = math.sqrt(2)) -> nn.Module:
    """The layer, initialised, with spectral normalisation of its weight: section 2 of Miyato 2018."""
    return spectral_norm(initialised(layer, gain))
