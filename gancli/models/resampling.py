"""Double and halve feature maps with the filter [1, 3, 3, 1], which aliases little and keeps means."""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, pad


def upsampled(maps: Tensor) -> Tensor:
    """``(N, C, H, W)`` -> ``(N, C, 2 H, 2 W)``, bilinear."""
    return interpolate(maps, scale_factor=2, mode="bilinear", align_corners=False)


def downsampled(maps: Tensor) -> Tensor:
    """``(N, C, H, W)`` -> ``(N, C, ceil(H / 2), ceil(W / 2))``, filtered by [1, 3, 3, 1] / 8, then every second pixel.

    It is a quarter of the transpose of `upsampled`, except at the border, which is repeated.
    """
    channels, height, width = maps.shape[1:]
    place = torch.arange(4, device=maps.device, dtype=maps.dtype)
    taps = (place * (3 - place) + 1) / 8  # computed, since a list of numbers would be copied while the device waits
    filters = torch.outer(taps, taps).expand(channels, 1, 4, 4)
    return conv2d(
        pad(maps, (1, 1 + width % 2, 1, 1 + height % 2), mode="replicate"), filters, stride=2, groups=channels
    )


class Upsample(nn.Module):
    """`upsampled` as a layer."""

    def forward(self, maps: Tensor) -> Tensor:
        """See `upsampled`."""
        return upsampled(maps)


class Downsample(nn.Module):
    """`downsampled` as a layer."""

    def forward(self, maps: Tensor) -> Tensor:
        """See `downsampled`."""
        return downsampled(maps)
