"""A perceptual distance: the difference between two pictures' features in a frozen network."""

import torch
from torch import Tensor, nn

from gancli import whole_batch
from gancli.models.efficientnet_lite0 import Lite0

CHANNELS = (1, 3, 4)
"""Channels of pictures that can be compared: grey, RGB, RGBA."""


class Perception(nn.Module):
    """EfficientNet-Lite0 up to its maps at 1/4 and 1/8 of the side. No weight of it is trained or saved."""

    def __init__(self, network: Lite0) -> None:
        super().__init__()
        self.levels = nn.ModuleList([nn.Sequential(network.stem, *network.stages[:2]), network.stages[2]])

    def features(self, images: Tensor) -> list[Tensor]:
        """Pictures ``(N, C, H, W)`` in [-1, 1] -> the feature maps of each level; transparency is shown on grey."""
        maps, levels = rgb(images), list[Tensor]()
        for level in self.levels:
            maps = level(maps)
            levels.append(maps)
        return levels

    def forward(self, images: Tensor, wanted: Tensor) -> Tensor:
        """The mean over levels of E|f(x) - f(y)| / E|f(y)|, for x in ``images``, y in ``wanted`` (no gradient)."""
        with torch.no_grad():
            targets = self.features(wanted)
        pairs = zip(self.features(images), targets, strict=True)
        distances = [(maps - target).abs().mean() / whole_batch.average(target.abs().mean()) for maps, target in pairs]
        return torch.stack(distances).mean()


def rgb(images: Tensor) -> Tensor:
    """Grey or RGBA pictures ``(N, C, H, W)`` in [-1, 1] to RGB; the background of transparency is middle grey (0)."""
    if images.shape[1] == 4:
        return images[:, :3] * (0.5 + 0.5 * images[:, 3:])
    return images.expand(-1, 3, -1, -1)
