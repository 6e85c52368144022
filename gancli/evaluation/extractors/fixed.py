"""Extractors whose weights are given: pixels, and a classifier applied to each channel."""

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from gancli.evaluation.extractors.base import Extractor
from gancli.evaluation.extractors.classifier import PIXEL_SIDE


class PerChannel(nn.Module):
    """Applies a classifier of grey images to each channel: their features side by side, and logits of all tuples.

    Those are sums of the channels' log-probabilities, so that the largest belongs to the tuple of the likeliest classes
    and ``softmax`` is the product. With three channels of K classes there are K^3, the first channel's varying slowest.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """See `Extractor.network`."""
        features, logits = self.network(images.flatten(0, 1).unsqueeze(1))
        each = logits.log_softmax(1).unflatten(0, images.shape[:2])
        joint = each[:, 0]
        for channel in each.unbind(1)[1:]:
            joint = (joint[:, :, None] + channel[:, None]).flatten(1)
        return features.reshape(len(images), -1), joint


def per_channel(grey: Extractor) -> Extractor:
    """The extractor of images whose channels are such grey images; its accuracy is theirs."""
    return Extractor(f"channels_{grey.name}", PerChannel(grey.network), grey.accuracy)


class Pixels(nn.Module):
    """The pixels themselves, averaged to at most 16 a side."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.size = min(height, PIXEL_SIDE), min(width, PIXEL_SIDE)
        self.unit = nn.Parameter(torch.ones(()), requires_grad=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """See `Extractor.network`."""
        return adaptive_avg_pool2d(images, self.size).flatten(1) * self.unit, None


def pixel_extractor(shape: torch.Size, device: torch.device | str = "cpu") -> Extractor:
    """Features that are pixels, for images of this shape ``(N, C, H, W)``."""
    network = Pixels(*shape[2:]).to(device)
    return Extractor(f"pixels{network.size[0]}x{network.size[1]}", network, None)
