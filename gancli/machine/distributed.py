"""Several processes under torchrun: each takes its rows of the global batch, and gradients are averaged."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from gancli.errors import UsageError


@dataclass(frozen=True)
class Group:
    """This process among those that train together."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @property
    def leads(self) -> bool:
        """True if this process writes files and shows progress."""
        return self.rank == 0

    def agree(self, signal_number: int | None) -> int | None:
        """A signal that any process received, so that all stop after the same step."""
        if self.world == 1:
            return signal_number
        seen = torch.tensor(signal_number or 0)
        dist.all_reduce(seen, dist.ReduceOp.MAX)
        return int(seen.item()) or None

    def total(self, values: Tensor) -> Tensor:
        """The sum of a tensor over the processes."""
        if self.world > 1:
            dist.all_reduce(values)
        return values

    def average_scalars(self, scalars: dict[str, Tensor]) -> dict[str, Tensor]:
        """The means of named scalars over the processes, in one exchange."""
        if self.world == 1:
            return scalars
        means = self.total(torch.stack([value.detach() for value in scalars.values()])) / self.world
        return dict(zip(scalars, means.unbind(), strict=True))

    def average_gradients(self, network: nn.Module) -> None:
        """Replace each gradient by its mean over the processes, in one exchange.

        Unlike DistributedDataParallel this is right for penalties too, whose gradients are gradients of gradients.
        """
        if self.world == 1:
            return
        self._average([p.grad for p in network.parameters() if p.grad is not None])

    def average_buffers(self, *networks: nn.Module) -> None:
        """Average the buffers of layers, such as batch statistics, over the processes.

        All processes then continue with equal networks, which a checkpoint contains. Layers with ``constant = True``
        have no state that depends on images.
        """
        if self.world > 1:
            layers = [m for each in networks for m in each.modules() if not getattr(m, "constant", False)]
            self._average([b for m in layers for b in m.buffers(recurse=False) if b.is_floating_point()])

    def _average(self, tensors: list[Tensor]) -> None:
        if not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.world
        for tensor, mean in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))


def from_environment() -> Group:
    """The group that torchrun's RANK, LOCAL_RANK and WORLD_SIZE describe; a single process without them."""
    try:
        rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        return Group(rank, world, int(os.environ.get("LOCAL_RANK", rank)))
    except ValueError as error:
        raise UsageError(f"RANK, LOCAL_RANK and WORLD_SIZE must be numbers, as torchrun sets them: {error}.") from error


@contextlib.contextmanager
def joined() -> Iterator[Group]:
    """Join the process group if torchrun started one, and leave it at the end."""
    group = from_environment()
    if group.world == 1 or dist.is_initialized():
        yield group
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield group
    finally:
        dist.destroy_process_group()
