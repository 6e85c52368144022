"""Operations over a batch that several processes share; a single process gets the plain ones.

Every process holds equally many images, in the order of the ranks. Results are those of one process with the whole
batch, so losses, penalties and layers do not depend on the number of processes. All are differentiable any number of
times. All processes must call them in the same order.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Place:
    """This process among those that share a batch."""

    rank: int = 0
    world: int = 1
    images: int = 0
    """Images of the batch in this process."""


_place = Place()


@contextlib.contextmanager
def shared(rank: int, world: int, images: int) -> Iterator[None]:
    """In this context ``world`` processes share each batch; this one is ``rank`` and holds ``images`` of it."""
    global _place
    before, _place = _place, Place(rank, world, images)
    try:
        yield
    finally:
        _place = before


def alone() -> contextlib.AbstractContextManager[None]:
    """In this context batches are not shared: every process does the same with the same images."""
    return shared(0, 1, 0)


def processes() -> int:
    """Number of processes that share a batch."""
    return _place.world


def average(values: Tensor) -> Tensor:
    """The mean of a tensor over the processes; a mean over own images becomes the mean over the whole batch."""
    return values if _place.world == 1 else _Total.apply(values) / _place.world


def gathered(values: Tensor) -> Tensor:
    """``(n, ...)`` of each process -> ``(world * n, ...)``, the whole batch, on all of them."""
    if _place.world == 1:
        return values
    others = (_place.rank, _place.world - _place.rank - 1)
    before, after = (values.new_zeros(count * len(values), *values.shape[1:]) for count in others)
    return _Total.apply(torch.cat([before, values, after]))


def own_rows(values: Tensor) -> Tensor:
    """``(world * n, ...)`` -> ``(n, ...)``, this process's part of the whole batch."""
    return values.chunk(_place.world)[_place.rank] if _place.world > 1 else values


def drawn(draw: Callable[[Tensor], Tensor], like: Tensor) -> Tensor:
    """This process's rows of ``draw(like)`` for the whole batch; ``draw`` may be `torch.rand_like`.

    ``like`` ``(n, ...)`` may also be several batches in a row, such as real and generated images. The random generator
    must be in the same state on all processes, and advances as in one process.
    """
    if _place.world == 1:
        return draw(like)
    shape = (_place.world * len(like), *like.shape[1:])
    # the same strides as `like`, because numbers are drawn in memory order
    whole = draw(torch.empty_strided(shape, like.stride(), dtype=like.dtype, device=like.device))
    batches = len(like) // _place.images if len(like) % _place.images == 0 else 1
    return torch.cat([own_rows(batch) for batch in whole.chunk(batches)])


class _Total(torch.autograd.Function):
    """The sum over the processes; its gradient is the sum of their gradients.

    Torch deprecates the same function of `torch.distributed.nn`, and older versions cannot differentiate its
    functional collectives.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        """Waits for all processes."""
        total = values.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Differentiable in turn."""
        return _Total.apply(gradient)
