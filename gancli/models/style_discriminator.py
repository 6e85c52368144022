"""StyleGAN2's residual discriminator (Karras et al. 2020, arXiv:1912.04958, section 4.1)."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from gancli.models.convolutional import Shape
from gancli.models.equalised import Equalised, convolution, minibatch_deviation
from gancli.models.resampling import downsampled
from gancli.models.style_generator import SLOPE, Mapping, map_sizes


class Block(nn.Module):
    """(f(x) + g(x)) / sqrt(2) at half the size: f has two 3 x 3 convolutions, g is a 1 x 1."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = convolution(before, before)
        self.second = convolution(before, after, gain=1.0)  # sqrt(2) of LeakyReLU over that of the sum
        self.shortcut = convolution(before, after, 1, gain=1 / math.sqrt(2))

    def forward(self, maps: Tensor) -> Tensor:
        """``(N, before, H, W)`` -> ``(N, after, ceil(H / 2), ceil(W / 2))``."""
        rest = downsampled(leaky_relu(self.first(maps), SLOPE))
        return leaky_relu(self.second(rest), SLOPE) + self.shortcut(downsampled(maps))


class Discriminator(nn.Module):
    """Blocks that halve the image, the minibatch deviation, and a logit.

    With labels the logit is a product with the mapped label, a projection (Miyato 2018, arXiv:1802.05637), as in ADA's
    conditional networks (Karras 2020, arXiv:2006.06676). ``path_length`` is the running mean of path lengths,
    which G's regularisation keeps.
    """

    path_length: Tensor

    def __init__(
        self, channels: list[int], shape: Shape, classes: int = 0, mapping_layers: int = 2, conditions: int = 0
    ) -> None:
        super().__init__()
        height, width = map_sizes(shape)[0]
        self.from_image = convolution(shape[0], channels[-1], 1)
        self.blocks = nn.Sequential(*(Block(before, after) for before, after in pairwise(reversed(channels))))
        first = channels[0]
        self.last = convolution(first + 1, first)
        self.dense = Equalised(nn.Linear(first * height * width, first))
        labelled = bool(classes or conditions)
        self.logit = Equalised(nn.Linear(first, first if labelled else 1), gain=1.0)
        self.to_label = Mapping(0, first, classes, mapping_layers, conditions) if labelled else None
        self.register_buffer("path_length", torch.zeros(()))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images ``(N, C, H, W)`` in [-1, 1] and labels as for `Mapping` -> logits ``(N,)``."""
        maps = self.blocks(leaky_relu(self.from_image(images), SLOPE))
        maps = leaky_relu(self.last(minibatch_deviation(maps)), SLOPE)
        values = self.logit(leaky_relu(self.dense(maps.flatten(1)), SLOPE))
        if self.to_label is None:
            return values.squeeze(1)
        return (values * self.to_label(None, labels)).sum(1) / math.sqrt(values.shape[1])
