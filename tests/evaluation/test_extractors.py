"""The feature classifier: good, repeatable, cached, and replaced when its cache is damaged."""

from pathlib import Path

import pytest
import torch

from gancli import data
from gancli.evaluation import extract, extractor_for
from gancli.evaluation.extractors import imagenet
from gancli.evaluation.extractors.base import Extractor
from gancli.evaluation.sources.choose_evaluator import ExtractorChoice, choose_extractor

CPU = torch.device("cpu")


def of_digits(cache: Path) -> Extractor:
    digits = data.load("digits")
    return extractor_for(
        digits.train.images, digits.train.labels, digits.heldout.images, digits.heldout.labels, "print", CPU, cache
    )


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("features")


@pytest.fixture(scope="module")
def trained(cache: Path) -> Extractor:
    return of_digits(cache)


def test_the_classifier_is_right_and_named_after_its_weights(trained: Extractor) -> None:
    assert trained.accuracy is not None
    assert trained.accuracy >= 0.98
    assert trained.name.startswith("lenet_")


def test_training_repeats_and_leaves_the_callers_random_numbers_alone(tmp_path: Path, trained: Extractor) -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    again = of_digits(tmp_path)
    assert torch.equal(torch.rand(4), expected)
    assert again.name == trained.name


def test_the_cache_is_used_and_a_damaged_one_is_replaced(
    cache: Path, trained: Extractor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert of_digits(cache).name == trained.name
    assert "training" not in caplog.text
    (path,) = cache.iterdir()
    path.write_bytes(path.read_bytes()[:500])
    assert of_digits(cache).name == trained.name
    assert "is not used" in caplog.text
    caplog.clear()
    assert of_digits(cache).accuracy == trained.accuracy
    assert "training" not in caplog.text


@pytest.mark.parametrize(("channels", "kind"), [(1, "lite0_"), (3, "lite0_"), (4, "lite0_"), (2, "randconv_")])
def test_unlabelled_images_get_fixed_features(tmp_path: Path, channels: int, kind: str) -> None:
    images = torch.randint(0, 256, (10, channels, 80, 50), dtype=torch.uint8)
    first, second = (extractor_for(images, None, images, None, "x", CPU, tmp_path) for _ in range(2))
    assert first.name == second.name
    assert first.name.startswith(kind)
    found = extract(images, first, "train")
    assert found.values.shape == (10, 64 if kind == "randconv_" else 1280)
    assert found.values.dtype == torch.float64
    assert found.logits is None
    assert torch.equal(found.values, extract(images, second, "train", batch_size=10).values)


@pytest.mark.parametrize(("size", "seen"), [((300, 200), (128, 85)), ((32, 32), (128, 128)), ((8, 4), (32, 32))])
def test_imagenet_features_see_128_pixels_at_most_and_magnify_four_times(
    size: tuple[int, int], seen: tuple[int, int]
) -> None:
    assert imagenet.resized(torch.zeros(1, 3, *size)).shape[2:] == seen


def test_imagenet_features_show_transparency_on_white_and_grey_as_grey() -> None:
    network = imagenet.imagenet_extractor().network
    colours, opacity = torch.rand(3, 3, 24, 24), torch.rand(3, 1, 24, 24)
    on_white = opacity * colours + (1 - opacity) * 1.0
    see_through, flat = (network(2 * each - 1)[0] for each in (torch.cat([colours, opacity], 1), on_white))
    torch.testing.assert_close(see_through, flat, rtol=1e-3, atol=1e-4)
    grey = 2 * opacity - 1
    assert torch.equal(network(grey)[0], network(grey.repeat(1, 3, 1, 1))[0])


def test_any_extractor_without_weights_can_be_asked_for_by_name() -> None:
    digits = data.load("digits")
    kinds = {name: choose_extractor(digits, CPU, ExtractorChoice(name)).name for name in ("lite0", "random", "pixels")}
    assert [name.partition("_")[0] for name in kinds.values()] == ["lite0", "randconv", "pixels8x8"]


@pytest.mark.slow
def test_the_classifier_of_mnist_is_over_99_per_cent(data_root: Path, tmp_path: Path) -> None:
    mnist = data.load("mnist", data_root)
    found = extractor_for(
        mnist.train.images, mnist.train.labels, mnist.heldout.images, mnist.heldout.labels, "m", CPU, tmp_path
    )
    assert found.accuracy is not None
    assert found.accuracy > 0.99
