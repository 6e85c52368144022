"""DCGAN's networks (Radford et al. 2016, arXiv:1511.06434), scaled to the size of the images."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from gancli.models.batch_layers import BatchNorm2d, Dropout
from gancli.models.label_layers import one_hot

Shape = tuple[int, int, int]
"""Channels, height and width."""
Norm = Literal["batch", "layer", "none"]
NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": BatchNorm2d,
    "layer": lambda channels: nn.GroupNorm(1, channels),
    "none": lambda channels: nn.Identity(),
}

WIDTH = "channels of the largest maps, smaller ones have twice as many; 0: 64, or 4 a pixel if fewer"
"""Meaning of the hyperparameter ``width``."""


def doublings(shape: Shape, least: int = 2) -> int:
    """Number of doublings from the smallest feature map to the image.

    The smallest map's shorter side is 4 (as in the paper) to 7. Images under 16 pixels still have ``least`` doublings,
    since one layer makes no discriminator.
    """
    return max(least, math.floor(math.log2(min(shape[1:]) / 4)))


def default_width(shape: Shape) -> int:
    """Channels of the largest map: 64 as in PyTorch's DCGAN example, or 4 per pixel of the shorter side if fewer."""
    return min(64, 4 * min(shape[1:]))


def initialise(module: nn.Module, norm: Norm = "batch") -> None:
    """Weights from N(0, 0.02^2), gains from N(1, 0.02^2): section 4 of the paper and its authors' code.

    Weights so small need normalisation. Networks without it are initialised as in He 2015 (arXiv:1502.01852), eq. 15.
    Otherwise D's gradient is almost zero at first, and a penalty on its norm decides where it points.
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
    """A linear layer to a small map, then transposed convolutions that double it, cropped to the image's size.

    With ``classes`` the one-hot label is appended to the latent.
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
    """Strided convolutions with LeakyReLU of slope 0.2; all but the first are normalised."""

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
    """The centre of images ``(N, C, H, W)`` that are at least ``height`` x ``width``."""
    top, left = (images.shape[2] - height) // 2, (images.shape[3] - width) // 2
    return images[:, :, top : top + height, left : left + width]
