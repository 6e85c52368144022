"""Load real batches in the background, for a data set that is not on the device."""

from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from gancli.recipes.base import Batch
from gancli.steps.batches import ResidentImages

AHEAD = 3
"""Number of batches to load ahead."""
Gathered = tuple[Tensor, Tensor | None]


class PrefetchedImages:
    """The batches of ``source``, moved to ``device``; the data set stays where it is.

    A batch is a function of its number alone, so prefetching changes only the speed.
    """

    def __init__(self, source: ResidentImages, device: torch.device) -> None:
        self.source, self.device = source, device
        self._worker = ThreadPoolExecutor(1, "prefetch")
        self._ready: dict[int, Future[Gathered]] = {}

    def batch(self, number: int) -> Batch:
        """Real batch ``number`` of the run, float in [-1, 1]; raises errors of reading its images."""
        wanted = range(number, number + AHEAD + 1)
        for stale in self._ready.keys() - set(wanted):
            self._ready.pop(stale).cancel()
        for ahead in wanted:
            if ahead not in self._ready:
                self._ready[ahead] = self._worker.submit(self._gather, ahead)
        images, labels = (self._moved(tensor) for tensor in self._ready.pop(number).result())
        assert images is not None
        return self.source.finished(images, labels, number)

    def _gather(self, number: int) -> Gathered:
        images, labels = self.source.gathered(number)
        return images.pin_memory() if self.device.type == "cuda" else images, labels

    def _moved(self, tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor.to(self.device, non_blocking=True)


def source_of(real: object) -> ResidentImages:
    """The data set behind a source of real batches, prefetched or not."""
    source = real.source if isinstance(real, PrefetchedImages) else real
    assert isinstance(source, ResidentImages)
    return source
