"""Linear layers and convolutions, y = W a + b, with each derivative available by itself.

``delta`` is the derivative of a network's output with respect to y and has its shape. A tangent t has the shape of a.
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
"""All rows of a batch."""


def is_product(layer: nn.Module) -> bool:
    """True if this module can differentiate the layer."""
    if type(layer) is nn.Conv2d:
        return layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    return type(layer) is nn.Linear


def outer(layer: nn.Module, delta: Tensor, before: Tensor) -> Tensor:
    """sum_i delta_i a_i^T, for convolutions summed over positions too: the gradient for the layer's weight."""
    if isinstance(layer, nn.Linear):
        return delta.flatten(0, -2).T @ before.flatten(0, -2)
    assert isinstance(layer, nn.Conv2d)
    return conv2d_weight(before, layer.weight.shape, delta, *_geometry(layer))


def summed(layer: nn.Module, delta: Tensor, scale: Tensor) -> Tensor:
    """sum_i c_i delta_i, for convolutions summed over positions too: the gradient for the layer's bias."""
    if isinstance(layer, nn.Linear):
        return scale @ (delta if delta.ndim == 2 else delta.flatten(1, -2).sum(1))
    return scale @ delta.sum((2, 3))


def _geometry(layer: nn.Conv2d) -> tuple[Any, ...]:
    return layer.stride, layer.padding, layer.dilation, layer.groups


def _weight(layer: nn.Module, like: Tensor) -> Tensor:
    assert isinstance(layer.weight, Tensor)
    return layer.weight.detach().to(like.dtype)


@dataclass(frozen=True)
class Done:
    """A layer and an output of it, detached from its graph."""

    layer: nn.Module
    after: Tensor
    wanted: slice
    """Rows of its input for which a gradient is needed."""


class Product(torch.autograd.Function):
    """W a + b, already computed, with derivatives for a alone, of first and second order.

    Autograd's double backward of a convolution would compute a gradient for W even if nobody needs it.
    """

    @staticmethod
    def forward(ctx: Any, before: Tensor, done: Done) -> Tensor:
        """The layer's output for ``before``."""
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
