"""Features for any picture: EfficientNet-Lite0 with frozen ImageNet weights."""

import hashlib

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from gancli.evaluation.extractors.base import Extractor
from gancli.models.efficientnet_lite0 import REDUCTION, Lite0
from gancli.pretrained import SHA256, lite0_weights

MAX_SIDE = 128
"""Longer side of the network's input; larger ones cost more and recognise classes hardly better."""
MAX_MAGNIFICATION = 4
"""Largest factor by which small images are enlarged."""
PART = 16
"""Images per forward pass, so that maps stay in the processor's cache."""
CHANNELS = (1, 3, 4)


class ImagenetFeatures(nn.Module):
    """Lite0's 1280 features of images of any size: grey, RGB, or RGBA, which is shown on white."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Lite0(lite0_weights()).to(memory_format=torch.channels_last)
        self.unit = nn.Parameter(torch.ones(()), requires_grad=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Float images ``(N, C, H, W)`` in [-1, 1], C of 1, 3 or 4 -> features ``(N, 1280)`` and no logits."""
        parts = [self.network(resized(shown_on_white(part))) for part in images.split(PART)]
        return torch.cat(parts) * self.unit, None


def imagenet_extractor(device: torch.device | str = "cpu") -> Extractor:
    """The extractor for pictures without labels; FileFormatError if its weights are missing or changed."""
    digest = hashlib.sha256(f"{SHA256} {MAX_SIDE} {MAX_MAGNIFICATION}".encode()).hexdigest()
    return Extractor(f"lite0_{digest[:8]}", ImagenetFeatures().to(device), None)


def shown_on_white(images: Tensor) -> Tensor:
    """Grey, RGB or RGBA images to RGB ``(N, 3, H, W)`` in [-1, 1], on a white background."""
    images = images.clamp(-1, 1)
    if images.shape[1] < 4:
        return images.expand(-1, 3, -1, -1)
    opacity = (images[:, 3:] + 1) / 2
    return opacity * images[:, :3] + (1 - opacity)


def resized(images: Tensor) -> Tensor:
    """Images resized to a longer side of 128 pixels, but enlarged at most four times; channels last, antialiased.

    The shorter side keeps the aspect ratio, but is at least 32 pixels, for one pixel of the last map.
    """
    longer = max(images.shape[2:])
    scale = min(MAX_SIDE, MAX_MAGNIFICATION * longer) / longer
    size = tuple(max(REDUCTION, round(side * scale)) for side in images.shape[2:])
    if images.shape[2:] != size:
        images = interpolate(images, size, mode="bicubic", antialias=True).clamp(-1, 1)
    return images.contiguous(memory_format=torch.channels_last)
