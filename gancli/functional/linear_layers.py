"""Linear layers and convolutions, y = W a + b, with each of their derivatives to be had alone.

``delta`` is the derivative of a network's output by y and is shaped as y; a tangent t is shaped as a.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d, linear
from torch.nn.grad import conv2d_input, conv2d_weight

ALL = slice(None)


def is_product(layer: nn.Module) -> bool:
    """Whether the layer is one of those that this module knows."""
    if type(layer) is nn.Conv2d:
        return layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    return type(layer) is nn.Linear


def outer(layer: nn.Module, delta: Tensor, before: Tensor) -> Tensor:
    """sum_i delta_i a_i^T, over the places of a convolution too: the gradient for the layer's weight."""
    if isinstance(layer, nn.Linear):
        return delta.flatten(0, -2).T @ before.flatten(0, -2)
    assert isinstance(layer, nn.Conv2d)
    return conv2d_weight(before, layer.weight.shape, delta, *_geometry(layer))


def summed(layer: nn.Module, delta: Tensor, scale: Tensor) -> Tensor:
    """sum_i c_i delta_i, over the places of a convolution too: the gradient for the layer's bias."""
    places = delta.flatten(1, -2).sum(1) if isinstance(layer, nn.Linear) and delta.ndim > 2 else delta
    return scale @ (places if places.ndim == 2 else places.sum((2, 3)))


def _geometry(layer: nn.Conv2d) -> tuple[Any, ...]:
    return layer.stride, layer.padding, layer.dilation, layer.groups


def _weight(layer: nn.Module, like: Tensor) -> Tensor:
    assert isinstance(layer.weight, Tensor)
    return layer.weight.detach().to(like.dtype)


@dataclass(frozen=True)
class Done:
    """A linear layer and what it has made, without its graph."""

    layer: nn.Module
    after: Tensor
    wanted: slice
    """Rows of its input that need a gradient."""


class Product(torch.autograd.Function):
    """W a + b, computed already, whose derivative is that for a alone; so is that derivative's own.

    Autograd's double backward of a convolution computes a gradient for W whether or not it is asked for.
    """

    @staticmethod
    def forward(ctx: Any, before: Tensor, done: Done) -> Tensor:
        """What the layer made of ``before``."""
        ctx.layer, ctx.wanted, ctx.shape, ctx.dtype = done.layer, done.wanted, before.shape, before.dtype
        return done.after

    @staticmethod
    def backward(ctx: Any, delta: Tensor) -> tuple[Tensor, None]:
        """W^T delta."""
        if ctx.wanted == ALL:
            return _Transposed.apply(delta, ctx.layer, ctx.shape).to(ctx.dtype), None
        gradient = delta.new_zeros(ctx.shape, dtype=ctx.dtype)
        rows = delta[ctx.wanted]
        gradient[ctx.wanted] = _Transposed.apply(rows, ctx.layer, (len(rows), *ctx.shape[1:]))
        return gradient, None


class _Transposed(torch.autograd.Function):
    """W^T delta, as a function of delta."""

    @staticmethod
    def forward(ctx: Any, delta: Tensor, layer: nn.Module, shape: Sequence[int]) -> Tensor:
        """The gradient for the layer's input of that shape."""
        ctx.layer, weight = layer, _weight(layer, delta)
        if isinstance(layer, nn.Conv2d):
            return conv2d_input(shape, weight, delta, *_geometry(layer))
        return delta @ weight

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, tangent: Tensor) -> tuple[Tensor, None, None]:
        """W t."""
        weight = _weight(ctx.layer, tangent)
        if isinstance(ctx.layer, nn.Conv2d):
            return conv2d(tangent, weight, None, *_geometry(ctx.layer)), None, None
        return linear(tangent, weight), None, None
