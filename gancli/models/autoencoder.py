"""A convolutional autoencoder: pictures to small maps of latents with unit variance, and back.

After Rombach et al. 2022 (arXiv:2112.10752), section 3.1. Differs from their KL autoencoder:

- Batch normalisation keeps the latents at unit variance, and noise of a fixed variance is added to them. The noise
  bounds the information in a latent, so the loss needs no KL divergence.
- The mean colours of a picture's places have a linear way to the latents and back. Without it, thousands of steps
  pass before red differs from green.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pad

from gancli import whole_batch
from gancli.models.batch_layers import BatchNorm2d
from gancli.models.convolutional import Shape, cropped
from gancli.models.resampling import upsampled

LATENT_SIDE = 4
"""Side of the latent map along the picture's shorter side, up to rounding to a power of two."""
GROUPS = 8
"""Groups of channels in group normalisation."""


def halvings(shape: Shape) -> int:
    """Number of times that a picture's sides are halved: 3 for 64 pixels, one more for each doubling."""
    return max(1, round(math.log2(min(shape[1:]) / LATENT_SIDE)))


def latent_shape(shape: Shape, channels: int) -> Shape:
    """Shape of the latents of pictures of this shape."""
    scale = 2 ** halvings(shape)
    return channels, math.ceil(shape[1] / scale), math.ceil(shape[2] / scale)


def widths(shape: Shape, width: int) -> list[int]:
    """Channels from the largest maps to the smallest, which have ``width``. Each size costs about the same."""
    sizes = (width // 2**level // GROUPS * GROUPS for level in reversed(range(halvings(shape))))
    return [max(2 * GROUPS, size) for size in sizes]


def activated(channels: int) -> list[nn.Module]:
    """Group normalisation and SiLU."""
    return [nn.GroupNorm(GROUPS, channels), nn.SiLU()]


class Residual(nn.Module):
    """x + (group normalisation, SiLU, 3 x 3) twice; the second convolution starts at zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        first, last = (nn.Conv2d(channels, channels, 3, 1, 1) for _ in range(2))
        nn.init.zeros_(last.weight)
        self.layers = nn.Sequential(*activated(channels), first, *activated(channels), last)

    def forward(self, maps: Tensor) -> Tensor:
        """``(N, C, H, W)`` to the same shape."""
        return maps + self.layers(maps)


class Encoder(nn.Module):
    """Strided convolutions with residual blocks between, plus the mean colours of each place.

    The border is repeated where a side does not divide.
    """

    def __init__(self, shape: Shape, channels: int, width: int) -> None:
        super().__init__()
        self.scale, sizes = 2 ** halvings(shape), widths(shape, width)
        layers: list[nn.Module] = [nn.Conv2d(shape[0], sizes[0], 4, 2, 1)]
        for before, after in pairwise(sizes):
            layers += [*activated(before), nn.Conv2d(before, after, 4, 2, 1), Residual(after)]
        layers += [Residual(sizes[-1]), *activated(sizes[-1]), nn.Conv2d(sizes[-1], channels, 1)]
        self.layers = nn.Sequential(*layers)
        self.colours = nn.Conv2d(shape[0], channels, 1, bias=False)
        self.norm = BatchNorm2d(channels, affine=False)

    def forward(self, images: Tensor) -> Tensor:
        """Pictures ``(N, C, H, W)`` in [-1, 1] -> latents ``(N, channels, h, w)``, each channel of unit variance."""
        return self.code(*self.features(images))

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures ``(N, C, H, W)`` -> maps before the last convolution ``(N, width, h, w)``, and mean colours."""
        height, width = (-side % self.scale for side in images.shape[2:])
        edges = (width // 2, width - width // 2, height // 2, height - height // 2)
        images = pad(images, edges, mode="replicate")
        return self.layers[:-1](images), avg_pool2d(images, self.scale)

    def code(self, maps: Tensor, colours: Tensor) -> Tensor:
        """The latents of pictures with these `features`."""
        return self.norm(self.layers[-1](maps) + self.colours(colours))


class Decoder(nn.Module):
    """The encoder's mirror, with transposed convolutions; a picture is the sum of what maps of each size draw.

    As the generator with skip connections of Karras et al. 2020 (arXiv:1912.04958), section 4.1.
    """

    def __init__(self, shape: Shape, channels: int, width: int) -> None:
        super().__init__()
        self.size, sizes = shape[1:], widths(shape, width)[::-1]
        last = max(GROUPS, sizes[-1] // 2)
        self.first = nn.Sequential(nn.Conv2d(channels, sizes[0], 3, 1, 1), Residual(sizes[0]), Residual(sizes[0]))
        self.colours = nn.Conv2d(channels, shape[0], 1)
        levels = [
            nn.Sequential(*activated(before), nn.ConvTranspose2d(before, after, 4, 2, 1), Residual(after))
            for before, after in pairwise(sizes)
        ]
        levels.append(nn.Sequential(*activated(sizes[-1]), nn.ConvTranspose2d(sizes[-1], last, 4, 2, 1), nn.SiLU()))
        self.levels = nn.ModuleList(levels)
        finest = nn.Conv2d(last, shape[0], 3, 1, 1)
        nn.init.zeros_(finest.weight)
        self.details = nn.ModuleList([*(nn.Conv2d(after, shape[0], 1) for after in sizes[1:]), finest])

    def forward(self, latents: Tensor) -> Tensor:
        """Latents ``(N, channels, h, w)`` -> pictures ``(N, C, H, W)``, not bounded to [-1, 1]."""
        maps, images = self.first(latents), self.colours(latents)
        for level, details in zip(self.levels, self.details, strict=True):
            maps = level(maps)
            images = upsampled(images) + details(maps)
        return cropped(images, *self.size)


class Autoencoder(nn.Module):
    """Encoder and decoder for pictures of one shape."""

    def __init__(self, shape: Shape, channels: int, width: int) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(shape, channels, width), Decoder(shape, channels, width)

    def forward(self, images: Tensor, noise: float = 0.0) -> Tensor:
        """Reconstruct pictures ``(N, C, H, W)``; ``noise`` is the standard deviation of noise on their latents."""
        return self.decoded(self.encoder(images), noise)

    def decoded(self, latents: Tensor, noise: float = 0.0) -> Tensor:
        """Pictures ``(N, C, H, W)`` of latents ``(N, channels, h, w)``, with noise of this deviation on them."""
        return self.decoder(latents + noise * whole_batch.drawn(torch.randn_like, latents) if noise else latents)
