"""Batch normalisation and dropout for a batch that several processes share.

Each process gets the values that one process with the whole batch would get. A single process uses torch's own layers;
parameters and their names are the same.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout
from torch.nn.modules.batchnorm import _BatchNorm

from gancli import whole_batch


class BatchNorm1d(nn.BatchNorm1d):
    """Torch's layer; in training, statistics cover the whole batch of all processes."""

    def forward(self, values: Tensor) -> Tensor:
        """``(N, C)`` to the same shape."""
        return _normalised(self, values) if _is_shared(self) else super().forward(values)


class BatchNorm2d(nn.BatchNorm2d):
    """Torch's layer; in training, statistics cover the whole batch of all processes.

    `torch.nn.SyncBatchNorm` works on GPUs alone and has no second derivative.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """``(N, C, H, W)`` to the same shape."""
        return _normalised(self, maps) if _is_shared(self) else super().forward(maps)


class Dropout(nn.Dropout):
    """Torch's layer, with the mask that one process with the whole batch would draw."""

    def forward(self, values: Tensor) -> Tensor:
        """``(N, ...)`` to the same shape."""
        if not _is_shared(self):
            return super().forward(values)
        return values * whole_batch.drawn(lambda like: dropout(torch.ones_like(like), self.p), values)


def _is_shared(layer: nn.Module) -> bool:
    return layer.training and whole_batch.processes() > 1


def _normalised(layer: _BatchNorm, values: Tensor) -> Tensor:
    """The same as `torch.nn.functional.batch_norm` in training; updates the running statistics too."""
    over, shape = [0, *range(2, values.ndim)], [1, -1, *[1] * (values.ndim - 2)]
    exact = values.to(torch.promote_types(values.dtype, torch.float32))
    mean = whole_batch.average(exact.mean(over, keepdim=True))
    centred = exact - mean
    variance = whole_batch.average(centred.square().mean(over, keepdim=True))
    _remember(layer, mean.detach().flatten(), variance.detach().flatten(), values.numel() // values.shape[1])
    normalised = centred * (variance + layer.eps).rsqrt()
    if layer.affine:
        normalised = normalised * layer.weight.view(shape) + layer.bias.view(shape)
    return normalised.to(values.dtype)


def _remember(layer: _BatchNorm, mean: Tensor, variance: Tensor, count: int) -> None:
    """Update the running statistics; ``count`` is the number of values in a channel in this process."""
    assert layer.running_mean is not None and layer.running_var is not None and layer.momentum is not None
    assert layer.num_batches_tracked is not None
    whole = count * whole_batch.processes()
    layer.num_batches_tracked += 1
    layer.running_mean.lerp_(mean, layer.momentum)
    layer.running_var.lerp_(variance * (whole / (whole - 1)), layer.momentum)
