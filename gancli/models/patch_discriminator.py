"""A discriminator of patches: one logit for each of the overlapping patches of a picture.

Isola et al. 2017 (arXiv:1611.07004), section 3.2.2, as the authors of latent diffusion have it.
"""

import math
from itertools import pairwise

from torch import Tensor, nn

from gancli.models.batch_layers import BatchNorm2d
from gancli.models.convolutional import Shape, initialise

MAX_HALVINGS = 3
"""Halvings of the paper's discriminator; its patches have 70 pixels a side."""
MIN_LAST = 3
"""Smallest side after the halvings, of which the two last layers take one pixel each."""
MIN_SIDE = 2 * MIN_LAST
"""Smallest side of a picture."""


class PatchDiscriminator(nn.Module):
    """4 x 4 convolutions: up to three that halve the map, two that do not. The first and the last have no norm."""

    def __init__(self, shape: Shape, width: int) -> None:
        super().__init__()
        halvings = min(MAX_HALVINGS, math.floor(math.log2(min(shape[1:]) / MIN_LAST)))
        channels = [width * 2**level for level in range(halvings + 1)]
        layers: list[nn.Module] = [nn.Conv2d(shape[0], width, 4, 2, 1), nn.LeakyReLU(0.2, True)]
        for number, (before, after) in enumerate(pairwise(channels), 1):
            stride = 2 if number < halvings else 1
            layers += [nn.Conv2d(before, after, 4, stride, 1, bias=False), BatchNorm2d(after), nn.LeakyReLU(0.2, True)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels[-1], 1, 4, 1, 1))
        initialise(self)

    def patches(self, images: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` -> the logits of their patches ``(N, patches)``."""
        return self.layers(images).flatten(1)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """The mean logit of each image ``(N,)``; labels are ignored."""
        return self.patches(images).mean(1)
