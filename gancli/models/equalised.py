"""Layers of progressive growing (Karras 2018, arXiv:1710.10196, sections 3 and 4), which StyleGAN2 has too."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear

from gancli import whole_batch

GROUP = 4
"""Group size of the minibatch standard deviation, or the next larger number that divides the batch."""


def exact(values: Tensor) -> Tensor:
    """Half precision to float32, in which small constants do not vanish; others unchanged."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def pixel_norm(maps: Tensor) -> Tensor:
    """Scale each pixel's vector of channels, or each row of a matrix, to a mean square of 1: section 4.2."""
    values = exact(maps)
    return (values * (values.square().mean(1, keepdim=True) + 1e-8).rsqrt()).to(maps.dtype)


def minibatch_deviation(maps: Tensor) -> Tensor:
    """Append one channel, the mean standard deviation of all values over each group of images: section 3."""
    batch = whole_batch.processes() * len(maps)
    group = next(n for n in range(min(GROUP, batch), batch + 1) if batch % n == 0)
    apart = len(maps) % group == 0  # each group lies within one process
    values = exact(maps if apart else whole_batch.gathered(maps)).unflatten(0, (-1, group))
    deviations = (values.var(1, correction=0) + 1e-8).sqrt().mean((1, 2, 3)).to(maps.dtype).repeat_interleave(group)
    own = deviations if apart else whole_batch.own_rows(deviations)
    return torch.cat([maps, own[:, None, None, None].expand(-1, 1, *maps.shape[2:])], 1)


class Equalised(nn.Module):
    """A convolution or linear layer with weights from N(0, 1), scaled in the forward pass: section 4.1.

    With a ``rate`` below 1 the layer learns as with so much of the learning rate.
    """

    def __init__(self, layer: nn.Conv2d | nn.Linear, gain: float = math.sqrt(2), rate: float = 1.0) -> None:
        super().__init__()
        assert layer.bias is not None
        self.layer, self.rate, self.scale = layer, rate, gain * rate / math.sqrt(layer.weight[0].numel())
        nn.init.normal_(layer.weight, 0.0, 1 / rate)
        nn.init.zeros_(layer.bias)

    def forward(self, values: Tensor) -> Tensor:
        """The layer's output with scaled weights."""
        weight, bias = self.layer.weight * self.scale, self.layer.bias
        if bias is not None and self.rate != 1:
            bias = bias * self.rate
        if isinstance(self.layer, nn.Linear):
            return linear(values, weight, bias)
        return conv2d(values, weight, bias, padding=self.layer.padding)


def convolution(before: int, after: int, size: int = 3, gain: float = math.sqrt(2)) -> Equalised:
    """An `Equalised` convolution that keeps the size of the map."""
    return Equalised(nn.Conv2d(before, after, size, padding=size // 2), gain)
