"""FastGAN's generator: layers whose channels are gated by smaller maps (Liu et al. 2021, arXiv:2101.04775)."""

import torch
from torch import Tensor, nn
from torch.nn.functional import glu
from torch.nn.utils.parametrizations import spectral_norm

from gancli import whole_batch
from gancli.models.batch_layers import BatchNorm2d
from gancli.models.convolutional import Shape, cropped, doublings, initialise

MAX_CHANNELS = 512
MAX_SKIP = 4
"""Doublings between the two ends of an excitation, as from 8 x 8 to 128 x 128 in the paper."""


def convolution(before: int, after: int, size: int = 3, stride: int = 1) -> nn.Module:
    """A convolution with spectral normalisation and without bias."""
    layer = nn.Conv2d(before, after, size, stride, (size - 1) // 2, bias=False)
    initialise(layer)
    return spectral_norm(layer)


class Gated(nn.Module):
    """Convolution, noise with a learned weight (in training, if ``noisy``), batch normalisation, gated linear unit."""

    def __init__(self, before: int, after: int, noisy: bool) -> None:
        super().__init__()
        self.convolution, self.norm = convolution(before, 2 * after), BatchNorm2d(2 * after)
        self.noise = nn.Parameter(torch.zeros(())) if noisy else None

    def forward(self, maps: Tensor) -> Tensor:
        """``(N, before, H, W)`` -> ``(N, after, H, W)``."""
        maps = self.convolution(maps)
        if self.noise is not None and self.training:
            maps = maps + self.noise * whole_batch.drawn(torch.randn_like, maps[:, :1])
        return glu(self.norm(maps), 1)


def doubling(before: int, after: int, composite: bool = False) -> nn.Module:
    """A layer ``(N, before, H, W)`` -> ``(N, after, 2 H, 2 W)``; ``composite`` adds a second, noisy convolution."""
    layers = [Gated(before, after, composite), *([Gated(after, after, True)] if composite else [])]
    return nn.Sequential(nn.Upsample(scale_factor=2), *layers)


class Pool(nn.Module):
    """Adaptive average pooling as matrix products, whose gradients are deterministic on CUDA."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, maps: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> ``(N, C, side, side)``."""
        rows, columns = (averaging(length, self.side, maps) for length in maps.shape[2:])
        return rows.T @ maps @ columns


def averaging(length: int, side: int, like: Tensor) -> Tensor:
    """The matrix ``(length, side)`` of adaptive average pooling, in operations that other runtimes know too."""
    place, pool = torch.arange(length, device=like.device)[:, None], torch.arange(side, device=like.device)
    inside = (place >= pool * length // side) & (place < ((pool + 1) * length + side - 1) // side)
    weights = inside.to(like.dtype)
    return weights / weights.sum(0)


class Excitation(nn.Module):
    """Gate the channels of a large map by a small one: eq. 1 of the paper."""

    def __init__(self, small: int, large: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Pool(4),
            spectral_norm(nn.Conv2d(small, large, 4, bias=False)),
            nn.SiLU(),
            spectral_norm(nn.Conv2d(large, large, 1, bias=False)),
            nn.Sigmoid(),
        )

    def forward(self, small: Tensor, large: Tensor) -> Tensor:
        """``(N, small, h, w)`` and ``(N, large, H, W)`` -> ``(N, large, H, W)``."""
        return large * self.layers(small)


class Generator(nn.Module):
    """Blocks that double the map, with excitations from small maps to large ones.

    The ``light`` form is that of Projected GAN's authors (arXiv:2111.01007). It has one convolution per size and no
    noise, and puts latents on the sphere of radius ``sqrt(latent_dim)``.
    """

    def __init__(self, latent_dim: int, width: int, shape: Shape, light: bool = False) -> None:
        super().__init__()
        self.light = light
        times, self.size = doublings(shape), shape[1:]
        self.base = tuple(-(-side // 2**times) for side in self.size)
        channels = [min(MAX_CHANNELS, width * 2 ** (times - level)) for level in range(times + 1)]
        self.project = spectral_norm(nn.Linear(latent_dim, 2 * channels[0] * self.base[0] * self.base[1], bias=False))
        self.norm = BatchNorm2d(2 * channels[0])
        self.doublings = nn.ModuleList(
            doubling(channels[level], channels[level + 1], composite=level % 2 == 0 and not light)
            for level in range(times)
        )
        self.skip = min(MAX_SKIP, times - 1)
        self.excitations = nn.ModuleList(
            Excitation(channels[level - self.skip], channels[level]) for level in range(self.skip + 1, times + 1)
        )
        self.to_image = convolution(channels[-1], shape[0])

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents ``(N, latent_dim)`` -> images ``(N, C, H, W)``; labels are ignored."""
        if self.light:
            latents = latents * latents.square().mean(1, keepdim=True).add(1e-8).rsqrt()
        maps = [glu(self.norm(self.project(latents).unflatten(1, (-1, *self.base))), 1)]
        for level, larger in enumerate(self.doublings, start=1):
            large = larger(maps[-1])
            if level > self.skip:
                large = self.excitations[level - self.skip - 1](maps[level - self.skip], large)
            maps.append(large)
        return cropped(self.to_image(maps[-1]).tanh(), *self.size)
