"""Pictures without labels: random features flatter averages, so the report says so and looks at pixels too."""

import pytest
import torch
from scipy.stats import wasserstein_distance
from torch import Tensor

from gancli import data
from gancli.evaluation import Evaluator, metrics, random_extractor
from gancli.evaluation.findings import find
from gancli.evaluation.report import Report, figure_of

DIGITS = data.load("digits")
TRAIN, HELDOUT = DIGITS.train.images, DIGITS.heldout.images
N = len(HELDOUT)


@pytest.fixture(scope="module")
def evaluator() -> Evaluator:
    return Evaluator(random_extractor(TRAIN.shape), TRAIN, HELDOUT, "unlabelled")


def some(seed: int = 0) -> Tensor:
    return torch.randperm(len(TRAIN), generator=torch.Generator().manual_seed(seed))[:N]


def mush() -> Tensor:
    """Each the mean of a training image and the three most like it."""
    flat = TRAIN.float().flatten(1)
    alike = torch.cdist(flat, flat).topk(4, largest=False).indices
    return TRAIN.float()[alike].mean(1).byte()[some()]


def said(report: Report) -> str:
    return "\n".join(report.findings)


def test_precision_above_that_of_real_images_is_a_warning(evaluator: Evaluator) -> None:
    report = evaluator.evaluate(mush(), "fast")
    precision, distance = report.figure("precision"), report.figure("fd")
    assert precision.baseline is not None and precision.value > precision.baseline + 0.05
    assert distance.times_real is not None and distance.times_real < 1.5, "by which nothing would stand out"
    assert "too typical" in said(report)


def test_real_images_are_not_called_too_typical(evaluator: Evaluator) -> None:
    report = evaluator.evaluate(TRAIN[some(1)], "fast")
    assert report.findings == ("nothing stands out against real images, by these figures.",)


def test_precision_on_features_of_a_classifier_may_be_high() -> None:
    names = ("precision_randconv_1a2b", "precision_pixels8x8", "precision_lenet_1a2b", "precision_inception_1a2b")
    figures = [figure_of("precision", name, [0.97], [0.82], 330, "higher") for name in names]
    assert ["too typical" in find({"precision": each}, {}, 330)[0] for each in figures] == [True, True, False, False]


def test_a_few_images_may_be_typical_by_chance() -> None:
    figures = [figure_of("precision", "precision_randconv_1a2b", [0.9], [0.82], n, "higher") for n in (20, 2000)]
    assert ["too typical" in find({"precision": each}, {}, 330)[0] for each in figures] == [False, True]


def test_the_fast_group_sees_pixels_where_there_are_no_labels(evaluator: Evaluator) -> None:
    names = {figure.metric for figure in evaluator.evaluate(TRAIN[some()], "fast").figures}
    assert {"swd", "tone", "fd", "precision"} <= names
    with_labels = {metric.name for metric in metrics.choose("fast")[0]}
    assert not {"swd", "tone"} & with_labels
    without = {metric.name for metric in metrics.choose("fast", labelled=False)[0]}
    assert without - with_labels == {"swd", "tone"}


def test_a_distance_is_told_as_a_multiple_of_the_real_one(evaluator: Evaluator) -> None:
    report = evaluator.evaluate(mush(), "fd,kid,precision,swd,tone")
    for figure in report.figures:
        if figure.metric in ("fd", "swd", "tone"):
            assert figure.times_real == pytest.approx(figure.value / (figure.baseline or 0))
        else:
            assert figure.times_real is None, "kid's real value is about 0, and a share is no distance"
    plain = {figure["metric"]: figure for figure in report.as_dict()["figures"]}
    assert plain["tone"]["times_real"] > 2
    tone = wasserstein_distance(mush().flatten().numpy(), HELDOUT.flatten().numpy())
    assert report.figure("tone").value == pytest.approx(tone)


def test_without_real_images_beside_there_is_no_multiple() -> None:
    report = Evaluator(random_extractor(TRAIN.shape), None, HELDOUT, "x").evaluate(TRAIN[some()], "fd")
    assert report.figure("fd").times_real is None
