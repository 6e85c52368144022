"""Projected GAN's discriminators on random projections of frozen features (Sauer et al. 2021, arXiv:2111.01007)."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate
from torch.nn.utils.parametrizations import spectral_norm

from gancli import whole_batch
from gancli.models.batch_layers import BatchNorm2d
from gancli.models.efficientnet_lite0 import LEVEL_CHANNELS, Lite0

MIXED = (64, 128, 256, 512)
"""Channels of each level after cross-channel mixing."""
FUSED = (64, 64, 128, 256)
"""Channels of each level after cross-scale mixing, which doubles its side."""
WIDTHS = (64, 128, 256, 512)
"""Channels after each halving in the head of the largest level; heads of smaller levels start further right."""
LAST = 4
"""Side of the last kernel, which gives logits, and of its smallest input."""


class RandomMixing(nn.Module):
    """A 1 x 1 convolution with random weights that are never trained, but saved with D."""

    constant = True
    weight: Tensor
    bias: Tensor

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        layer = nn.Conv2d(before, after, 1)
        self.register_buffer("weight", layer.weight.detach())
        self.register_buffer("bias", layer.bias.detach() if layer.bias is not None else torch.zeros(after))

    def forward(self, maps: Tensor) -> Tensor:
        """``(N, before, H, W)`` -> ``(N, after, H, W)``."""
        return conv2d(maps, self.weight, self.bias)


class Projections(nn.Module):
    """Four feature maps of a picture, mixed at random over channels, then over scales from the smallest up."""

    def __init__(self, network: Lite0, side: int) -> None:
        super().__init__()
        self.network, self.side = network, side
        self.over_channels = nn.ModuleList(RandomMixing(*each) for each in zip(LEVEL_CHANNELS, MIXED, strict=True))
        self.over_scales = nn.ModuleList(RandomMixing(*each) for each in zip(MIXED, FUSED, strict=True))

    def forward(self, images: Tensor) -> list[Tensor]:
        """RGB ``(N, 3, H, W)`` in [-1, 1] -> maps of `FUSED` channels at about 1/2, 1/4, 1/8 and 1/16 of the side."""
        if min(images.shape[2:]) < self.side:
            size = [math.ceil(length * self.side / min(images.shape[2:])) for length in images.shape[2:]]
            images = interpolate(images, size, mode="bilinear")
        levels = self.network.levels(images)
        mixed = [mix(maps) for mix, maps in zip(self.over_channels, levels, strict=True)]
        fused: list[Tensor] = []
        for maps, fuse in zip(reversed(mixed), reversed(self.over_scales), strict=True):
            if fused:
                maps = maps + fused[-1][:, :, : maps.shape[2], : maps.shape[3]]  # where a side was rounded up
            fused.append(fuse(interpolate(maps, scale_factor=2, mode="bilinear")))
        return fused[::-1]


class Head(nn.Module):
    """Halves the maps of one level to a few pixels; each 4 x 4 window of them gives one logit."""

    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise(channels):
            halve = spectral_norm(nn.Conv2d(before, after, 4, 2, 1, bias=False))
            layers += [halve, BatchNorm2d(after), nn.LeakyReLU(0.2, True)]
        self.layers = nn.Sequential(*layers, spectral_norm(nn.Conv2d(channels[-1], 1, LAST, bias=False)))

    def forward(self, maps: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> logits ``(N, windows)``."""
        return self.layers(maps).flatten(1)


class Discriminator(nn.Module):
    """Four heads, one per level.

    In training, transparent pictures, real and generated, get random background colours.
    """

    def __init__(self, network: Lite0, side: int) -> None:
        super().__init__()
        self.projections = Projections(network, side)
        self.heads = nn.ModuleList(Head(_channels(level, side)) for level in range(len(FUSED)))

    def patches(self, images: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` in [-1, 1], with C of 1, 3 or 4 -> all logits of all heads, ``(N, logits)``."""
        levels = self.projections(self._opaque(images))
        return torch.cat([head(maps) for head, maps in zip(self.heads, levels, strict=True)], 1)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """The mean logit of each image, ``(N,)``; labels are ignored."""
        return self.patches(images).mean(1)

    def _opaque(self, images: Tensor) -> Tensor:
        if images.shape[1] < 4:
            return images.expand(-1, 3, -1, -1)
        opacity = (images[:, 3:] + 1) / 2
        background = 2 * whole_batch.drawn(torch.rand_like, images[:, :3, :1, :1]) - 1 if self.training else 0.0
        return opacity * images[:, :3] + (1 - opacity) * background


def _channels(level: int, side: int) -> list[int]:
    """A head's channels; as many halvings as in the released heads, fewer if less than 4 pixels would be left."""
    halvings = min(len(FUSED) - level, int(math.log2(side / 2 ** (level + 1) / LAST)))
    return [FUSED[level], *WIDTHS[level : level + halvings]]
