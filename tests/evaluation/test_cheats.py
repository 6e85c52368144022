"""Sets of images that are made to look good by one figure: the report exposes each."""

import pytest
import torch
from torch import Tensor

from gancli import data
from gancli.evaluation import Evaluator, Report, extractor_for
from gancli.evaluation.findings import find
from gancli.evaluation.report import figure_of
from gancli.evaluation.sources.choose_evaluator import feature_cache

DIGITS = data.load("digits")
TRAIN, LABELS, HELDOUT = DIGITS.train.images, DIGITS.train.labels, DIGITS.heldout.images
assert LABELS is not None
N = len(HELDOUT)


@pytest.fixture(scope="module")
def evaluator() -> Evaluator:
    """It holds the first half of the training images for the generator's own, so that the others are unseen."""
    assert LABELS is not None
    extractor = extractor_for(
        TRAIN, LABELS, HELDOUT, DIGITS.heldout.labels, DIGITS.fingerprint, torch.device("cpu"), feature_cache()
    )
    return Evaluator(extractor, TRAIN[: len(TRAIN) // 2], HELDOUT, "half", classes=DIGITS.classes)


def shuffled(images: Tensor, seed: int = 0) -> Tensor:
    return images[torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))]


def unseen() -> Tensor:
    return shuffled(TRAIN[len(TRAIN) // 2 :])[:N]


def noisy(images: Tensor, sigma: float) -> Tensor:
    noise = sigma * torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    return (images.float() + noise).round().clamp(0, 255).to(torch.uint8)


def of_each_class(count: int) -> Tensor:
    """So many images of each class, repeated to N."""
    assert LABELS is not None
    second = len(TRAIN) // 2
    few = torch.cat([TRAIN[second:][LABELS[second:] == label][:count] for label in range(10)])
    return shuffled(few.repeat(-(-N // len(few)), 1, 1, 1)[:N])


def findings(report: Report) -> str:
    return "\n".join(report.findings)


def test_honest_images_are_not_accused(evaluator: Evaluator) -> None:
    report = evaluator.evaluate(unseen(), "standard")
    assert report.findings == ("nothing stands out against real images, by these figures.",)


def test_one_image_of_each_class_repeated(evaluator: Evaluator) -> None:
    report = evaluator.evaluate(of_each_class(1), "standard")
    best = report.figure("is")
    assert best.baseline is not None
    assert best.value > 0.95 * best.baseline, "the inception score is taken in"
    assert report.figure("intra_diversity").value == pytest.approx(1, abs=1e-6)
    assert report.figure("duplicates").value == 1
    assert report.figure("coverage").value < 0.2
    for word in ("the distance is ", "near-duplicates: 100.0%", "variety is missing", "resemble one another"):
        assert word in findings(report)


def test_a_few_of_each_class_repeated(evaluator: Evaluator) -> None:
    report = evaluator.evaluate(of_each_class(10), "standard")
    assert report.figure("duplicates").value == 1
    assert "near-duplicates: 100.0%" in findings(report)


@pytest.mark.parametrize(("share", "sigma"), [(1.0, 0.0), (0.5, 0.0), (1.0, 12.0)])
def test_copies_of_the_training_images(evaluator: Evaluator, share: float, sigma: float) -> None:
    copied = shuffled(TRAIN[: len(TRAIN) // 2], 2)[: int(share * N)]
    fakes = torch.cat([noisy(copied, sigma), unseen()[: N - len(copied)]])
    report = evaluator.evaluate(fakes, "standard")
    assert report.figure("copies").value == pytest.approx(share, abs=0.05)
    assert report.figure("c_t").value < -3
    assert report.figure("authpct").value < 40
    assert "copies: " in findings(report)
    assert "memorised" in findings(report)


@pytest.mark.parametrize("kind", ["mirrored", "half of them moved"])
def test_copies_that_are_moved(evaluator: Evaluator, kind: str) -> None:
    copied = shuffled(TRAIN[: len(TRAIN) // 2], 2)[:N]
    fakes = copied.flip(3) if kind == "mirrored" else torch.cat([copied[: N // 2].roll(1, 3), unseen()[: N - N // 2]])
    report = evaluator.evaluate(fakes, "standard")
    share = 1 if kind == "mirrored" else 0.5
    assert report.figure("moved_copies").value == pytest.approx(share, abs=0.05)
    assert "moved by a pixel or mirrored" in findings(report)


@pytest.mark.parametrize(("share", "sigma"), [(1.0, 0.0), (0.3, 0.0), (1.0, 12.0)])
def test_images_that_they_are_compared_with(evaluator: Evaluator, share: float, sigma: float) -> None:
    count = int(share * N)
    report = evaluator.evaluate(
        torch.cat([noisy(shuffled(HELDOUT, 1)[:count], sigma), unseen()[: N - count]]), "standard"
    )
    assert report.figure("leaks").value == pytest.approx(share, abs=0.05)
    assert "held-out images: " in findings(report)
    assert "memorised" not in findings(report)


def test_averages_show(evaluator: Evaluator) -> None:
    pairs = ((unseen().int() + shuffled(unseen(), 5).int()) // 2).to(torch.uint8)
    assert "features differ" in findings(evaluator.evaluate(pairs, "standard"))


def test_other_brightness_shows(evaluator: Evaluator) -> None:
    darker = (unseen().float() * 0.8).to(torch.uint8)
    assert "brightness or contrast differs" in findings(evaluator.evaluate(darker, "tone"))


@pytest.mark.parametrize(("copies", "tone", "memorised"), [(0.018, 7.1, False), (1.0, 7.1, True), (0.018, 0.4, True)])
def test_darker_images_are_called_memorised_only_if_they_are(copies: float, tone: float, memorised: bool) -> None:
    """Features of less contrast lie nearer to all others, those of training images among them: figures of unseen
    images of MNIST at 0.8 of their brightness, and the same with copies or without another brightness."""
    values = {
        "copies": (copies, 0.006), "c_t": (-4.8, 0.9), "authpct": (50.0, 66.2), "duplicates": (0.047, 0.019),
        "tone": (tone, 0.06),
    }  # fmt: skip
    figures = {name: figure_of(name, name, [ours], [real], 1000, "lower") for name, (ours, real) in values.items()}
    said = "\n".join(find(figures, {}, 1000))
    assert ("brightness or contrast differs" in said) == (tone > 1)
    assert ("C_T = -4.8" in said, "only 50 % are authentic" in said) == (memorised, memorised)
    assert ("near-duplicates" in said) == (tone < 1)


def test_one_class_alone_is_not_called_memorised(evaluator: Evaluator) -> None:
    assert LABELS is not None
    second = len(TRAIN) // 2
    report = evaluator.evaluate(TRAIN[second:][LABELS[second:] == 3], "standard")
    assert "variety is missing" in findings(report)
    assert "memorised" not in findings(report)


def test_missing_classes_are_named(evaluator: Evaluator) -> None:
    assert LABELS is not None
    second = len(TRAIN) // 2
    report = evaluator.evaluate(TRAIN[second:][LABELS[second:] != 7][:N], "standard")
    assert "1 of 10 classes are missing or nearly so: 7." in findings(report)
    assert report.shares["7"][0] < 0.01 < report.shares["7"][1]


def test_noise_that_a_classifier_does_not_see_shows_in_the_pixels(evaluator: Evaluator) -> None:
    clean, dirty = (evaluator.evaluate(images, "swd,coverage") for images in (unseen(), noisy(unseen(), 40)))
    assert dirty.figure("swd").value > 1.3 * clean.figure("swd").value
