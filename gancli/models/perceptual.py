"""How alike two pictures look: the difference of a frozen network's features."""

import torch
from torch import Tensor, nn

from gancli import whole_batch
from gancli.models.efficientnet_lite0 import Lite0

CHANNELS = (1, 3, 4)
"""Channels of pictures that can be compared: grey, RGB, RGBA."""


class Perception(nn.Module):
    """EfficientNet-Lite0 up to its maps at 1/4 and 1/8 of the side; it has no weights that train or are saved."""

    def __init__(self, network: Lite0) -> None:
        super().__init__()
        self.levels = nn.ModuleList([nn.Sequential(network.stem, *network.stages[:2]), network.stages[2]])

    def features(self, images: Tensor) -> list[Tensor]:
        """Pictures ``(N, C, H, W)`` in [-1, 1] -> their maps; transparent ones lie on grey."""
        maps, found = rgb(images), list[Tensor]()
        for level in self.levels:
            maps = level(maps)
            found.append(maps)
        return found

    def forward(self, images: Tensor, wanted: Tensor) -> Tensor:
        """The mean over levels of E|f(x) - f(y)| / E|f(y)|, a scalar; ``wanted`` gets no gradient."""
        with torch.no_grad():
            targets = self.features(wanted)
        pairs = zip(self.features(images), targets, strict=True)
        distances = [(maps - target).abs().mean() / whole_batch.average(target.abs().mean()) for maps, target in pairs]
        return torch.stack(distances).mean()


def rgb(images: Tensor) -> Tensor:
    """Grey or RGBA pictures in [-1, 1] as RGB ones, of which transparent parts are the middle grey."""
    if images.shape[1] == 4:
        return images[:, :3] * (0.5 + 0.5 * images[:, 3:])
    return images.expand(-1, 3, -1, -1)
