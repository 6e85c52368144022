"""Extractors without training of their own: pixels, and a classifier applied to each channel."""

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from gancli.evaluation.extractors.base import Extractor
from gancli.evaluation.extractors.classifier import PIXEL_SIDE


class PerChannel(nn.Module):
    """Applies a classifier of grey images to each channel; features are concatenated, logits are those of tuples.

    A tuple's logit is the sum of its classes' log-probabilities. Three channels of K classes have K^3 tuples; the first
    channel's class varies slowest.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Images ``(N, C, H, W)`` in [-1, 1] -> features ``(N, d)``, and logits ``(N, classes)`` or None."""
        features, logits = self.network(images.flatten(0, 1).unsqueeze(1))
        each = logits.log_softmax(1).unflatten(0, images.shape[:2])
        joint = each[:, 0]
        for channel in each.unbind(1)[1:]:
            joint = (joint[:, :, None] + channel[:, None]).flatten(1)
        return features.reshape(len(images), -1), joint


def per_channel(grey: Extractor) -> Extractor:
    """The extractor for images whose channels are grey images of ``grey``; it has the same accuracy."""
    return Extractor(f"channels_{grey.name}", PerChannel(grey.network), grey.accuracy)


class Pixels(nn.Module):
    """The pixels themselves, averaged to at most 16 a side."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.size = min(height, PIXEL_SIDE), min(width, PIXEL_SIDE)
        self.unit = nn.Parameter(torch.ones(()), requires_grad=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Images ``(N, C, H, W)`` in [-1, 1] -> features ``(N, d)``, and logits ``(N, classes)`` or None."""
        return adaptive_avg_pool2d(images, self.size).flatten(1) * self.unit, None


def pixel_extractor(shape: torch.Size, device: torch.device | str = "cpu") -> Extractor:
    """Pixels as features, for images of this shape ``(N, C, H, W)``."""
    network = Pixels(*shape[2:]).to(device)
    return Extractor(f"pixels{network.size[0]}x{network.size[1]}", network, None)
