"""Operations over the images of all processes that share a batch; for a single process, the plain ones.

Every process holds equally many images, in the order of the ranks. The results are those of one process with the whole
batch, so that losses, penalties and layers made of them do not depend on how many processes share it. They can be
differentiated any number of times. All processes must call them in the same order.
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
    """Of the batch, in this process."""


_place = Place()


@contextlib.contextmanager
def shared(rank: int, world: int, images: int) -> Iterator[None]:
    """Within it, batches are shared by ``world`` processes, of which this is number ``rank`` and has ``images``."""
    global _place
    before, _place = _place, Place(rank, world, images)
    try:
        yield
    finally:
        _place = before


def alone() -> contextlib.AbstractContextManager[None]:
    """Within it, batches are not shared: all processes do the same with the same images."""
    return shared(0, 1, 0)


def processes() -> int:
    """How many processes share a batch."""
    return _place.world


def average(values: Tensor) -> Tensor:
    """The mean of a tensor over the processes: of a mean over each one's images, the mean over the whole batch."""
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
    """``draw(like)``, such as `torch.rand_like`: this process's rows of what it draws for the whole batch.

    ``like`` ``(n, ...)`` may also be several batches, as of real and of generated images, one after the other. The
    generator must be in the same state on all processes; it advances as it does in one process.
    """
    if _place.world == 1:
        return draw(like)
    shape = (_place.world * len(like), *like.shape[1:])
    # the same order in memory, in which numbers are drawn
    whole = draw(torch.empty_strided(shape, like.stride(), dtype=like.dtype, device=like.device))
    batches = len(like) // _place.images if len(like) % _place.images == 0 else 1
    return torch.cat([own_rows(batch) for batch in whole.chunk(batches)])


class _Total(torch.autograd.Function):
    """The sum over the processes, whose gradient is the sum of theirs.

    Torch has the same in `torch.distributed.nn`, which it no longer recommends, and among its functional collectives,
    which older versions cannot differentiate.
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
