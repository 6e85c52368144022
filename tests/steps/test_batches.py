"""The order of images and the latents: functions of (seed, place), the same in one process and in several."""

import pytest
import torch

from gancli.steps.batches import Noise, ResidentImages

IMAGES = torch.arange(10, dtype=torch.uint8).view(10, 1, 1, 1).expand(10, 1, 4, 4)


def ids(batch: torch.Tensor) -> list[int]:
    return (batch[:, 0, 0, 0] * 127.5 + 127.5).round().int().tolist()


def source(batch_size: int, **options: int) -> ResidentImages:
    return ResidentImages(IMAGES, torch.arange(10), batch_size, seed=3, **options)


def test_each_epoch_has_every_image_once_in_another_order() -> None:
    real = source(5)
    epochs = [ids(torch.cat([real.batch(2 * e).images, real.batch(2 * e + 1).images])) for e in range(3)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_epochs_follow_each_other_without_a_gap() -> None:
    seen = [number for n in range(5) for number in ids(source(4).batch(n).images)]
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))


@pytest.mark.parametrize("batch_size", [4, 10, 7])
def test_a_batch_needs_no_batch_before_it(batch_size: int) -> None:
    straight = source(batch_size)
    for number in range(6):
        expected = straight.batch(number)
        jumped = source(batch_size).batch(number)
        assert torch.equal(jumped.images, expected.images)
        assert jumped.labels is not None
        assert jumped.labels.tolist() == ids(expected.images)


def test_processes_share_out_the_global_batch() -> None:
    whole = source(6).batch(2)
    parts = [source(6, rank=rank, world=3).batch(2) for rank in range(3)]
    assert torch.equal(torch.cat([part.images for part in parts]), whole.images)


def test_pixels_become_minus_one_to_one() -> None:
    real = ResidentImages(torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1), None, 2, seed=0)
    assert sorted(real.batch(0).images.flatten().tolist()) == [-1.0, 1.0]


def test_noise_is_shared_out_alike_and_differs_by_purpose_and_number() -> None:
    cpu = torch.device("cpu")
    whole, labels = Noise(8, 5, 6, 0, cpu).draw("g", 4)
    parts = [Noise(8, 5, 6, 0, cpu, rank, 2).draw("g", 4) for rank in range(2)]
    assert torch.equal(torch.cat([latents for latents, _ in parts]), whole)
    assert labels is not None
    assert torch.equal(torch.cat([each for _, each in parts if each is not None]), labels)
    assert not torch.equal(whole, Noise(8, 5, 6, 0, cpu).draw("d", 4)[0])
    assert not torch.equal(whole, Noise(8, 5, 6, 0, cpu).draw("g", 5)[0])
    assert Noise(8, 0, 6, 0, cpu).draw("g", 4)[1] is None
