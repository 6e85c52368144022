"""Networks of denoising diffusion GANs: a U-Net that predicts the image, and a D of two successive noisy images.

Xiao et al. 2022 (arXiv:2112.07804), appendix C, after NCSN++ (Song et al. 2021, arXiv:2011.13456).
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, leaky_relu, scaled_dot_product_attention, silu

from gancli.models.convolutional import Shape, doublings
from gancli.models.label_layers import projected, projection
from gancli.models.resampling import upsampled

SMALLEST = 8
"""The U-Net halves maps until their shorter side would be smaller."""
MAX_GROUPS = 8
"""Groups of channels for normalisation."""
SLOPE = 0.2
"""Slope of D's LeakyReLU below zero."""
HALF = 1 / math.sqrt(2)
"""Factor that keeps the variance of a sum of two."""
MAX_OF_G, MAX_OF_D = 2, 4
"""The widest maps have so many times the channels of the first."""


class TimeEmbedding(nn.Module):
    """Sines and cosines of the step, through two linear layers."""

    rates: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("rates", torch.logspace(0, -2, width // 2), persistent=False)
        self.layers = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())

    def forward(self, steps: Tensor) -> Tensor:
        """Steps, int64 ``(N,)`` -> ``(N, width)``."""
        angles = steps[:, None] * self.rates
        return self.layers(torch.cat([angles.sin(), angles.cos()], 1))


class AdaptiveNorm(nn.Module):
    """Group normalisation whose gains and biases are linear in the style of z (AdaGN)."""

    def __init__(self, channels: int, styles: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(math.gcd(channels, MAX_GROUPS), channels, affine=False)
        self.modulation = nn.Linear(styles, 2 * channels)

    def forward(self, maps: Tensor, style: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)``, styles ``(N, styles)`` -> the same shape as maps."""
        gain, bias = self.modulation(style)[:, :, None, None].chunk(2, 1)
        return self.norm(maps) * (1 + gain) + bias


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions after `AdaptiveNorm` and SiLU; the step is added between them."""

    def __init__(self, before: int, after: int, styles: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(AdaptiveNorm(channels, styles) for channels in (before, after))
        self.first, self.last = nn.Conv2d(before, after, 3, 1, 1), nn.Conv2d(after, after, 3, 1, 1)
        self.time = nn.Linear(styles, after)
        self.shortcut = nn.Identity() if before == after else nn.Conv2d(before, after, 1)
        nn.init.zeros_(self.last.weight)

    def forward(self, maps: Tensor, style: Tensor, time: Tensor) -> Tensor:
        """``(N, before, H, W)`` -> ``(N, after, H, W)``."""
        rest = self.first(silu(self.norms[0](maps, style))) + self.time(time)[:, :, None, None]
        rest = self.last(silu(self.norms[1](rest, style)))
        return HALF * (self.shortcut(maps) + rest)


class MapAttention(nn.Module):
    """Self-attention of all places of a map, added to it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(math.gcd(channels, MAX_GROUPS), channels)
        self.project, self.merge = nn.Conv2d(channels, 3 * channels, 1, bias=False), nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.merge.weight)

    def forward(self, maps: Tensor) -> Tensor:
        """``(N, C, H, W)`` to the same shape."""
        query, key, value = self.project(self.norm(maps)).flatten(2).transpose(1, 2)[:, None].chunk(3, 3)
        mixed = scaled_dot_product_attention(query, key, value)[:, 0].transpose(1, 2)
        return HALF * (maps + self.merge(mixed.unflatten(2, maps.shape[2:])))


class UNet(nn.Module):
    """A noisy image, a latent and a step to the image without noise."""

    def __init__(self, z_dim: int, width: int, shape: Shape, classes: int = 0) -> None:
        super().__init__()
        styles, times = 2 * width, max(1, math.floor(math.log2(min(shape[1:]) / SMALLEST)))
        channels = [width * min(2**level, MAX_OF_G) for level in range(times + 1)]
        self.time = TimeEmbedding(styles)
        self.mapping = nn.Sequential(nn.Linear(z_dim, styles), nn.SiLU(), nn.Linear(styles, styles), nn.SiLU())
        self.label = nn.Embedding(classes, styles) if classes else None
        self.start = nn.Conv2d(shape[0], width, 3, 1, 1)
        widths = [width, *channels]
        self.down = nn.ModuleList(ResidualBlock(before, after, styles) for before, after in pairwise(widths))
        self.middle, self.attention = ResidualBlock(widths[-1], widths[-1], styles), MapAttention(widths[-1])
        self.up = nn.ModuleList(
            ResidualBlock(below + here, here, styles)
            for below, here in zip([widths[-1], *reversed(channels)], reversed(channels), strict=False)
        )
        self.norm = nn.GroupNorm(math.gcd(width, MAX_GROUPS), width)
        self.end = nn.Conv2d(width, shape[0], 3, 1, 1)

    def forward(self, images: Tensor, z: Tensor, steps: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images ``(N, C, H, W)``, z ``(N, z_dim)``, steps and labels ``(N,)`` -> images in [-1, 1]."""
        time, style = self.time(steps), z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        style = self.mapping(style) if self.label is None else self.mapping(style) + self.label(labels)
        maps, passed = self.start(images), list[Tensor]()
        for level, block in enumerate(self.down):
            maps = block(avg_pool2d(maps, 2, ceil_mode=True) if level else maps, style, time)
            passed.append(maps)
        maps = self.attention(self.middle(maps, style, time))
        for level, block in enumerate(self.up):
            across = passed.pop()
            maps = upsampled(maps)[:, :, : across.shape[2], : across.shape[3]] if level else maps
            maps = block(torch.cat([maps, across], 1), style, time)
        return self.end(silu(self.norm(maps))).tanh()


class Halving(nn.Module):
    """LeakyReLU and a 3 x 3 convolution twice; the step is added between them, and the map halved before the second."""

    def __init__(self, before: int, after: int, width: int) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(before, after, 3, 1, 1), nn.Conv2d(after, after, 3, 1, 1)
        self.time, self.shortcut = nn.Linear(width, after), nn.Conv2d(before, after, 1, bias=False)
        for layer in (self.first, self.shortcut):
            nn.init.kaiming_normal_(layer.weight, SLOPE)
        nn.init.zeros_(self.last.weight)

    def forward(self, maps: Tensor, time: Tensor) -> Tensor:
        """``(N, before, H, W)`` -> ``(N, after, ceil(H / 2), ceil(W / 2))``."""
        rest = self.first(leaky_relu(maps, SLOPE)) + self.time(time)[:, :, None, None]
        rest = self.last(avg_pool2d(leaky_relu(rest, SLOPE), 2, ceil_mode=True))
        return HALF * (self.shortcut(avg_pool2d(maps, 2, ceil_mode=True)) + rest)


class PairDiscriminator(nn.Module):
    """The logit of x_{t-1}, given x_t, which it may come from, and the step t.

    With classes their projection is added; see `gancli.models.label_layers.projected`.
    """

    def __init__(self, width: int, shape: Shape, classes: int = 0) -> None:
        super().__init__()
        channels = [width * min(2**level, MAX_OF_D) for level in range(doublings(shape) + 1)]
        self.time = TimeEmbedding(2 * width)
        self.start = nn.Conv2d(2 * shape[0], width, 1)
        self.halvings = nn.ModuleList(Halving(before, after, 2 * width) for before, after in pairwise(channels))
        self.end, self.logit = nn.Conv2d(channels[-1], channels[-1], 3, 1, 1), nn.Linear(channels[-1], 1)
        for layer in (self.start, self.end):
            nn.init.kaiming_normal_(layer.weight, SLOPE)
        self.embedding = projection(classes, channels[-1])

    def forward(self, before: Tensor, after: Tensor, steps: Tensor, labels: Tensor | None = None) -> Tensor:
        """x_{t-1} and x_t ``(N, C, H, W)``, steps t and labels ``(N,)`` -> logits ``(N,)``."""
        maps, time = self.start(torch.cat([before, after], 1)), self.time(steps)
        for halving in self.halvings:
            maps = halving(maps, time)
        features = leaky_relu(self.end(leaky_relu(maps, SLOPE)), SLOPE).sum((2, 3))
        return projected(self.logit(features).squeeze(1), features, self.embedding, labels)
