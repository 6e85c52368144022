"""Splits, fingerprints, sizes, and the embedded digits."""

from dataclasses import replace

import pytest
import torch

from gancli import data
from gancli.data.dataset import DataSet, Split, split_by_content
from gancli.errors import DataError, UsageError


def random_images(count: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_adding_images_moves_none_between_the_splits() -> None:
    images = random_images(500)
    held = split_by_content(images, 0.2)
    assert torch.equal(split_by_content(images.flip(0), 0.2).flip(0), held)
    assert torch.equal(split_by_content(images[100:], 0.2), held[100:])
    assert 60 < held.sum().item() < 140


def test_digits_are_what_scikit_learn_ships() -> None:
    digits = data.load("digits")
    assert len(digits.train) + len(digits.heldout) == 1797
    assert 0.15 < len(digits.heldout) / 1797 < 0.25
    assert digits.train.images.shape[1:] == (1, 8, 8)
    assert digits.train.images.max() == 255
    assert digits.classes == tuple("0123456789")
    train, heldout = ({image.numpy().tobytes() for image in s.images} for s in (digits.train, digits.heldout))
    assert not train & heldout


def test_faces_are_whole_and_on_white() -> None:
    faces = data.load("faces")
    images = torch.cat([faces.train.images, faces.heldout.images])
    assert images.shape == (268, 3, 48, 48) and 15 <= len(faces.heldout) <= 40
    assert len({image.numpy().tobytes() for image in images}) == 267, "two signs share one picture"
    corners = images[:, :, [0, 0, -1, -1], [0, -1, 0, -1]].float()
    assert corners.ge(250).all(1).float().mean() > 0.9, "nothing is cut across"
    assert images.float().std((1, 2, 3)).min() > 20, "no empty tile"


@pytest.mark.parametrize("change", ["pixel", "label", "order", "split"])
def test_the_fingerprint_notices(change: str) -> None:
    images, labels = random_images(10), torch.arange(10)
    before = DataSet("x", Split(images[:8], labels[:8]), Split(images[8:], labels[8:]))
    assert len(before.fingerprint) == 16
    assert before.fingerprint == replace(before, name="y").fingerprint
    train = Split(images[:8].clone(), labels[:8].clone())
    if change == "pixel":
        train.images[3, 0, 2, 2] ^= 1
    elif change == "label":
        assert train.labels is not None
        train.labels[3] += 1
    elif change == "order":
        train = Split(train.images.flip(0), labels[:8].flip(0))
    else:
        train = Split(images[:7], labels[:7])
    assert replace(before, train=train).fingerprint != before.fingerprint


def test_resizing_is_antialiased_and_keeps_the_range() -> None:
    checkers = (torch.arange(64).view(8, 8) + torch.arange(8).view(8, 1)).remainder(2).mul(255).byte()[None, None]
    small = DataSet("x", Split(checkers), Split(checkers)).resized(4, 2).train.images
    assert small.shape == (1, 1, 4, 2)
    assert small.dtype == torch.uint8
    assert (small.float() - 127.5).abs().max() < 40, "aliased: a chessboard should become grey"


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'mnist'"):
        data.load("mnits")


def test_no_network_names_the_embedded_data(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    import urllib.request
    from urllib.error import URLError

    def offline(*args: object, **kwargs: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", offline)
    for name in ("mnist", "fashion-mnist", "cifar10"):
        with pytest.raises(DataError, match="--data digits, which needs no network"):
            data.load(name, tmp_path)


def test_real_mnist_comes_with_its_own_splits(data_root) -> None:  # type: ignore[no-untyped-def]
    mnist = data.load("mnist", data_root)
    assert mnist.train.images.shape == (60000, 1, 28, 28)
    assert mnist.heldout.images.shape == (10000, 1, 28, 28)
    assert mnist.train.labels is not None
    assert torch.bincount(mnist.train.labels).tolist()[:3] == [5923, 6742, 5958]
    assert mnist.classes[0].startswith("0")
