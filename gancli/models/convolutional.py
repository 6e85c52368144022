"""DCGAN's networks (Radford et al. 2016, arXiv:1511.06434), scaled to the size of the images."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from gancli.models.batch_layers import BatchNorm2d, Dropout

Shape = tuple[int, int, int]
"""Channels, height and width."""
Norm = Literal["batch", "layer", "none"]
NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": BatchNorm2d,
    "layer": lambda channels: nn.GroupNorm(1, channels),
    "none": lambda channels: nn.Identity(),
}

WIDTH = "channels of the largest maps, smaller ones have twice as many; 0: 64, or 4 a pixel if fewer"
"""What the hyperparameter ``width`` means."""


def doublings(shape: Shape, least: int = 2) -> int:
    """Doublings from the smallest feature map, whose shorter side is 4 (as in the paper) to 7, up to the image.

    Images under 16 pixels have two all the same, since one layer makes no discriminator.
    """
    return max(least, math.floor(math.log2(min(shape[1:]) / 4)))


def default_width(shape: Shape) -> int:
    """Channels of the largest map: the 64 of the well-known PyTorch example, or 4 a pixel of a short shorter side."""
    return min(64, 4 * min(shape[1:]))


def initialise(module: nn.Module, norm: Norm = "batch") -> None:
    """Weights from N(0, 0.02^2), gains from N(1, 0.02^2): section 4 of the paper and its authors' code.

    So small weights need layers that normalise. Where there are none, He 2015 (arXiv:1502.01852), eq. 15, keeps the
    signal: else D begins with hardly a gradient, and a penalty on its norm decides where that points.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            if norm == "none":
                nn.init.kaiming_normal_(layer.weight, 0.2)
            else:
                nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, nn.BatchNorm2d | nn.GroupNorm):
            nn.init.normal_(layer.weight, 1.0, 0.02)


class Generator(nn.Module):
    """Project the latent to a small map, then double it with transposed convolutions, cropping what is over.

    With ``classes`` the label, one-hot, is appended to the latent.
    """

    def __init__(self, latent_dim: int, width: int, shape: Shape, classes: int = 0) -> None:
        super().__init__()
        times, self.classes, self.size = doublings(shape), classes, shape[1:]
        self.base = tuple(math.ceil(side / 2**times) for side in self.size)
        channels = [width * 2**i for i in reversed(range(times))]
        self.project = nn.Linear(latent_dim + classes, channels[0] * self.base[0] * self.base[1], bias=False)
        layers: list[nn.Module] = [BatchNorm2d(channels[0]), nn.ReLU(True)]
        for before, after in pairwise(channels):
            layers += [
                nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), BatchNorm2d(after), nn.ReLU(True)
            ]  # fmt: skip
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(channels[-1], shape[0], 4, 2, 1), nn.Tanh())
        initialise(self)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents ``(N, latent_dim)`` -> images ``(N, C, H, W)``; without classes, labels are ignored."""
        if self.classes and labels is not None:
            latents = torch.cat([latents, one_hot(labels, self.classes).to(latents)], 1)
        images = self.layers(self.project(latents).unflatten(1, (-1, *self.base)))
        return cropped(images, *self.size)


class Discriminator(nn.Module):
    """Halve the image with strided convolutions, LeakyReLU of slope 0.2, normalisation but at the first."""

    def __init__(self, width: int, shape: Shape, norm: Norm = "batch", dropout: float = 0.0) -> None:
        super().__init__()
        times = doublings(shape)
        channels = [width * 2**i for i in range(times)]
        layers: list[nn.Module] = [nn.Conv2d(shape[0], width, 4, 2, 1), nn.LeakyReLU(0.2, True)]
        for before, after in pairwise(channels):
            layers += [
                nn.Conv2d(before, after, 4, 2, 1, bias=norm == "none"),
                NORMS[norm](after),
                nn.LeakyReLU(0.2, True),
                *([Dropout(dropout)] if dropout else []),
            ]
        self.layers = nn.Sequential(*layers)
        self.feature_count = channels[-1] * (shape[1] >> times) * (shape[2] >> times)
        self.logit = nn.Linear(self.feature_count, 1)
        initialise(self, norm)

    def features(self, images: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` in [-1, 1] -> the last layer's activations ``(N, feature_count)``."""
        return self.layers(images).flatten(1)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images ``(N, C, H, W)`` in [-1, 1] -> logits ``(N,)``; labels are ignored."""
        return self.logit(self.features(images)).squeeze(1)


def cropped(images: Tensor, height: int, width: int) -> Tensor:
    """The middle of images ``(N, C, H, W)``, which are at least that large."""
    top, left = (images.shape[2] - height) // 2, (images.shape[3] - width) // 2
    return images[:, :, top : top + height, left : left + width]


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """Labels ``(N,)`` -> int64 ``(N, classes)``. Torch's own looks at the labels' values, for which a device waits."""
    return (labels[:, None] == torch.arange(classes, device=labels.device)).long()
