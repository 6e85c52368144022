"""Prefetched batches are those of the source, whatever is asked for and in whatever order; mirroring."""

import threading

import pytest
import torch

from gancli.steps.batches import ResidentImages
from gancli.steps.prefetching import AHEAD, PrefetchedImages

IMAGES = torch.randint(0, 256, (50, 3, 6, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(50)
CPU = torch.device("cpu")


def source(rank: int = 0, world: int = 1, mirror: bool = True) -> ResidentImages:
    return ResidentImages(IMAGES, LABELS, 8, 3, rank, world, mirror)


@pytest.mark.parametrize("numbers", [range(12), [5, 6, 7], [9, 2, 3, 30, 4]])
def test_they_are_the_batches_of_the_source(numbers: list[int]) -> None:
    prefetched = PrefetchedImages(source(), CPU)
    for number in numbers:
        found, expected = prefetched.batch(number), source().batch(number)
        assert torch.equal(found.images, expected.images)
        assert found.labels is not None and expected.labels is not None
        assert torch.equal(found.labels, expected.labels)


class Watched:
    """Images that note which thread asks for them."""

    device, threads = CPU, list[str]()

    def __len__(self) -> int:
        return len(IMAGES)

    def __getitem__(self, rows: torch.Tensor) -> torch.Tensor:
        self.threads.append(threading.current_thread().name)
        if len(self.threads) > 20:
            raise OSError("gone")
        return IMAGES[rows]


def test_they_are_gathered_in_the_background_and_few_at_a_time() -> None:
    images = Watched()
    real = ResidentImages(images, None, 8, 3)  # type: ignore[arg-type]
    prefetched = PrefetchedImages(real, CPU)
    prefetched.batch(0)
    prefetched._worker.submit(lambda: None).result()
    assert len(images.threads) == 1 + AHEAD
    assert threading.current_thread().name not in images.threads
    with pytest.raises(OSError, match="gone"):
        for number in range(1, 40):
            prefetched.batch(number)


def test_half_of_the_images_are_mirrored_the_same_way_in_one_process_and_in_several() -> None:
    whole, plain = source().batch(4).images, source(mirror=False).batch(4).images
    flipped = [not torch.equal(one, other) for one, other in zip(whole, plain, strict=True)]
    for is_flipped, one, other in zip(flipped, whole, plain, strict=True):
        assert torch.equal(one, other.flip(2) if is_flipped else other)
    parts = [source(rank, 2).batch(4).images for rank in range(2)]
    assert torch.equal(torch.cat(parts), whole)
    share = [not torch.equal(a, b) for n in range(40) for a, b in zip(
        source().batch(n).images, source(mirror=False).batch(n).images, strict=True)]  # fmt: skip
    assert 0.4 < sum(share) / len(share) < 0.6
