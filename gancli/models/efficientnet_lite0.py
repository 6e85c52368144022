"""EfficientNet-Lite0 with frozen ImageNet weights, as a source of feature maps.

Tan and Le 2019 (arXiv:1905.11946), in the "Lite" form of its authors: ReLU6, no squeeze-and-excitation.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, hardtanh, pad

EPSILON = 1e-3
"""Batch normalisation's epsilon."""
LEVEL_CHANNELS = (24, 40, 112, 320)
"""Channels of the feature maps at 1/4, 1/8, 1/16 and 1/32 of the picture's side."""
CHANNELS = 1280
"""Number of features before the classifier."""
REDUCTION = 32
"""Pixels of the picture's side per pixel of the smallest map."""


class Stage(NamedTuple):
    """Consecutive blocks of one size."""

    blocks: int
    kernel: int
    stride: int
    """Stride of the first block; the others have 1."""
    level: int | None = None
    """Index in `Lite0.levels` of the map after this stage; None if it is not returned."""


STAGES = (
    Stage(1, 3, 1), Stage(2, 3, 2, 0), Stage(2, 5, 2, 1), Stage(3, 3, 2), Stage(3, 5, 1, 2), Stage(4, 5, 2),
    Stage(1, 3, 1, 3),
)  # fmt: skip


class FixedConvolution(nn.Module):
    """A convolution with its batch normalisation folded in, then ReLU6 if ``bounded``.

    Its weights are buffers outside the state_dict, so they are not trained, averaged or saved. Padding is TensorFlow's
    "same", which these weights were trained with: at stride 2 an even side gets more padding at its end.
    """

    constant = True
    """It has no state that a forward pass updates, so processes need not synchronise it."""
    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, stride: int = 1, bounded: bool = True) -> None:
        super().__init__()
        self.register_buffer("weight", weight, persistent=False)
        self.register_buffer("bias", bias, persistent=False)
        self.stride, self.bounded = stride, bounded
        self.groups = len(weight) if weight.shape[1] == 1 else 1

    def forward(self, maps: Tensor) -> Tensor:
        """``(N, before, H, W)`` -> ``(N, after, ceil(H / stride), ceil(W / stride))``."""
        kernel, padding = self.weight.shape[-1], self.weight.shape[-1] // 2
        if self.stride > 1:
            maps, padding = pad(maps, same_padding(maps.shape[2:], kernel, self.stride)), 0
        maps = conv2d(maps, self.weight, self.bias, self.stride, padding, groups=self.groups)
        return hardtanh(maps, 0.0, 6.0, inplace=True) if self.bounded else maps


class Block(nn.Module):
    """Inverted residual: expand (not in the first block), depthwise, project; plus the input where shapes agree."""

    def __init__(self, layers: list[FixedConvolution]) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        before, after = layers[0].weight.shape[0 if len(layers) == 2 else 1], len(layers[-1].weight)
        self.residual = before == after and all(layer.stride == 1 for layer in layers)

    def forward(self, maps: Tensor) -> Tensor:
        """``(N, before, H, W)`` -> ``(N, after, h, w)``."""
        return maps + self.layers(maps) if self.residual else self.layers(maps)


class Lite0(nn.Module):
    """The network without its classifier, from the released weights by their original names."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.stem = _folded(weights, "_conv_stem", "_bn0", stride=2)
        stages, number = [], 0
        for stage in STAGES:
            blocks = []
            for index in range(stage.blocks):
                blocks.append(_block(weights, f"_blocks.{number}.", stage.stride if index == 0 else 1))
                number += 1
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        self.head = _folded(weights, "_conv_head", "_bn1")

    def levels(self, images: Tensor) -> list[Tensor]:
        """RGB ``(N, 3, H, W)`` in [-1, 1] -> maps of `LEVEL_CHANNELS` at 1/4 to 1/32 of the side, rounded up."""
        maps, levels = self.stem(images), []
        for blocks, stage in zip(self.stages, STAGES, strict=True):
            maps = blocks(maps)
            if stage.level is not None:
                levels.append(maps)
        return levels

    def forward(self, images: Tensor) -> Tensor:
        """RGB ``(N, 3, H, W)`` in [-1, 1] -> features ``(N, 1280)``, the input of the removed classifier."""
        return self.head(self.levels(images)[-1]).mean((2, 3))


def same_padding(size: tuple[int, ...] | torch.Size, kernel: int, stride: int) -> list[int]:
    """Padding (left, right, top, bottom) that makes a convolution's output ``ceil(side / stride)`` long."""
    padding: list[int] = []
    for side in reversed(size):
        total = max(0, (-(-side // stride) - 1) * stride + kernel - side)
        padding += [total // 2, total - total // 2]
    return padding


def _block(weights: Mapping[str, Tensor], name: str, stride: int) -> Block:
    layers = []
    if f"{name}_expand_conv.weight" in weights:
        layers.append(_folded(weights, f"{name}_expand_conv", f"{name}_bn0"))
    layers.append(_folded(weights, f"{name}_depthwise_conv", f"{name}_bn1", stride))
    return Block([*layers, _folded(weights, f"{name}_project_conv", f"{name}_bn2", bounded=False)])


def _folded(
    weights: Mapping[str, Tensor], name: str, norm: str, stride: int = 1, bounded: bool = True
) -> FixedConvolution:
    weight = weights[f"{name}.weight"].double()
    mean, variance, gain, shift = (
        weights[f"{norm}.{part}"].double() for part in ("running_mean", "running_var", "weight", "bias")
    )
    scale = gain / (variance + EPSILON).sqrt()
    folded = (weight * scale[:, None, None, None]).float()
    return FixedConvolution(folded, (shift - mean * scale).float(), stride, bounded)
