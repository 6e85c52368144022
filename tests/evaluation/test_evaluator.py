"""Reports: honest figures, each beside its baseline, and limits on them."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gancli import data
from gancli.errors import UsageError
from gancli.evaluation import Evaluator, Extractor, Report, extractor_for, findings, parse_limit
from gancli.evaluation.per_class import Demand
from gancli.evaluation.sources.choose_evaluator import evaluator_for, feature_cache

DIGITS = data.load("digits")
LABELS = DIGITS.train.labels
assert LABELS is not None


@pytest.fixture(scope="module")
def evaluator() -> Evaluator:
    extractor = extractor_for(
        DIGITS.train.images, LABELS, DIGITS.heldout.images, DIGITS.heldout.labels, DIGITS.fingerprint,
        torch.device("cpu"), feature_cache(),
    )  # fmt: skip
    return Evaluator(extractor, DIGITS.train.images, DIGITS.heldout.images, DIGITS.fingerprint)


def value(report: Report, metric: str) -> float:
    return report.figure(metric).value


def test_training_images_score_like_the_baseline(evaluator: Evaluator) -> None:
    some = torch.randperm(len(DIGITS.train), generator=torch.Generator().manual_seed(0))[: len(DIGITS.heldout)]
    report = evaluator.evaluate(DIGITS.train.images[some])  # at random, as those of the baseline
    for figure in report.figures:
        assert figure.n == len(DIGITS.heldout)
        assert figure.name == f"{figure.metric}_{report.extractor}"
    assert value(report, "coverage") == pytest.approx(report.figure("coverage").baseline, abs=0.06)
    assert value(report, "fd") < 2 * report.figure("fd").baseline


def test_noise_and_dropped_classes_are_exposed(evaluator: Evaluator) -> None:
    n = len(DIGITS.heldout)
    real = evaluator.evaluate(DIGITS.train.images[:n])
    noise = evaluator.evaluate(torch.randint(0, 256, (n, 1, 8, 8), dtype=torch.uint8))
    ones = evaluator.evaluate(DIGITS.train.images[LABELS == 1][:n])
    assert value(noise, "fd") > 10 * value(real, "fd")
    assert value(noise, "coverage") < 0.2
    assert value(ones, "coverage") < 0.3
    assert value(ones, "fd") > 10 * value(real, "fd")


def test_the_baseline_does_not_depend_on_what_was_generated(evaluator: Evaluator) -> None:
    a, b = (evaluator.evaluate(DIGITS.train.images[s : s + 100]) for s in (0, 300))
    assert [f.baseline for f in a.figures] == [f.baseline for f in b.figures]
    assert a.figures[0].n == 100


def test_the_report_is_plain_json_and_warns_of_a_small_n(evaluator: Evaluator) -> None:
    report = evaluator.evaluate(DIGITS.train.images[:100], ["fd", "recall"])
    plain = json.loads(json.dumps(report.as_dict()))
    assert [figure["metric"] for figure in plain["figures"]] == ["fd", "recall"]
    assert plain["fingerprint"] == DIGITS.fingerprint
    assert any("N = 100 is small" in warning for warning in report.warnings)


def test_unknown_metrics_are_refused_with_the_nearest(evaluator: Evaluator) -> None:
    with pytest.raises(UsageError, match="did you mean 'coverage'"):
        evaluator.evaluate(DIGITS.train.images[:100], ["coverge"])
    report = evaluator.evaluate(DIGITS.train.images[:100], ["fd"])
    with pytest.raises(UsageError, match="fd"):
        parse_limit("recall<1").crossed(report)


@pytest.mark.parametrize(
    ("text", "holds"), [("fd>0", True), ("fd < 1e-3", False), ("recall<=1", True), ("recall>=1.5", False)]
)
def test_limits_compare_with_the_value(evaluator: Evaluator, text: str, holds: bool) -> None:
    report = evaluator.evaluate(DIGITS.train.images[:100], ["fd", "recall"])
    assert parse_limit(text).crossed(report) is holds
    full = text.replace("fd", report.figure("fd").name).replace("recall", report.figure("recall").name)
    assert parse_limit(full).crossed(report) is holds


@pytest.mark.parametrize("text", ["", "fd", "fd<", "fd=3", "<3", "fd<1.2.3", "fd<x", "fd<1 or 2"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a condition"):
        parse_limit(text)


def test_images_of_stacked_digits_are_judged_by_the_classes_of_their_channels(data_root: Path) -> None:
    stacked = data.load("stacked-mnist", data_root)
    assert stacked.channels is not None
    small = replace(
        stacked,
        train=data.Split(stacked.train.images[:3000]),
        heldout=data.Split(stacked.heldout.images[:2000]),
        channels=replace(
            stacked.channels,
            train=data.Split(stacked.channels.train.images[:400], stacked.channels.train.labels[:400]),
            heldout=data.Split(stacked.channels.heldout.images[:500], stacked.channels.heldout.labels[:500]),
        ),
    )
    evaluator, count = evaluator_for(small, torch.device("cpu"), 0, 1000)
    assert isinstance(evaluator, Evaluator)
    one_channel = stacked.train.images[:count].clone()
    one_channel[:, 1:] = one_channel[0, 1:]
    report = evaluator.evaluate(one_channel, "modes,reverse_kl")
    assert report.extractor.startswith("channels_lenet_")
    assert report.figure("modes").value == pytest.approx(9, abs=1), "only the first channel varies"
    assert report.figure("modes").baseline > 500
    assert report.figure("reverse_kl").value == pytest.approx(math.log(100), abs=0.3)
    assert set(report.shares) == {f"{number:03}" for number in range(1000)}


def test_a_conditional_generator_is_measured_in_each_class() -> None:
    evaluator, count = evaluator_for(DIGITS, torch.device("cpu"), 0)
    assert isinstance(evaluator, Evaluator)
    assert LABELS is not None
    asked = [number % 10 for number in range(count)]
    one_of_each = torch.stack([DIGITS.train.images[label == LABELS][0] for label in asked])
    report = evaluator.evaluate(
        one_of_each.where(torch.tensor(asked)[:, None, None, None] != 3, one_of_each[0]), "fd", asked
    )
    assert [name for name, share in report.per_class.items() if share < 0.5] == ["3"]
    assert "labels: images do not show the class that was asked for: 3 0% (most show 0)." in report.findings
    for ours, real in report.class_diversity.values():
        assert ours == pytest.approx(1, abs=1e-6)
        assert real > 1.3
    assert evaluator.evaluate(one_of_each, "fd").class_diversity == {}


def test_a_class_that_chance_leaves_out_is_not_called_missing() -> None:
    shares = {"rare": (0.0, 0.004), "usual": (0.996, 0.996)}
    assert findings.find({}, shares, 1000) == ("nothing stands out against real images, by these figures.",)
    assert "1 of 2 classes are missing or nearly so: rare." in findings.find({}, shares, 5000)


@pytest.mark.parametrize(
    ("agreement", "images", "recall", "expected"),
    [
        (0.02, 60, 0.99, True),
        (0.9, 60, 0.99, False),
        (0.0, 60, 0.2, False),  # the extractor does not recognise real ones either
        (0.1, 4, 0.99, False),  # four images may do so by chance
        (0.3, 1000, 0.99, True),
    ],
)
def test_a_class_that_is_not_drawn_on_demand_is_a_finding(
    agreement: float, images: int, recall: float, expected: bool
) -> None:
    demands = {"dark": Demand(images, agreement, "bright"), "bright": Demand(images, 1.0, "bright")}
    (said,) = findings.find({}, {}, images, demands, {"dark": recall, "bright": 1.0})
    assert ("asked for: dark" in said) is expected
    assert "most show bright" in said or not expected


def test_whether_a_rare_class_is_recognised_is_told_by_its_training_images() -> None:
    """Two classes of one grey each; none of the rare one's images is held out."""
    greys = torch.tensor([200] * 300 + [20] * 6).byte()[:, None, None, None].expand(-1, 1, 8, 8)
    train, heldout = greys[30:], greys[:30]
    labels = (torch.tensor([0] * 270 + [1] * 6), torch.zeros(30, dtype=torch.int64))
    network = _Threshold()
    classes = ("bright", "dark")
    evaluator = Evaluator(Extractor("lenet_1a2b", network, 1.0), train, heldout, "f", classes=classes, labels=labels)
    asked = [number % 2 for number in range(30)]
    bright = heldout + (torch.arange(30) % 5).byte()[:, None, None, None]
    report = evaluator.evaluate([bright, bright], "fd", asked)
    assert report.per_class == {"bright": 1.0, "dark": 0.0}
    assert any("asked for: dark 0% (most show bright)" in finding for finding in report.findings)


class _Threshold(torch.nn.Module):
    """Takes images darker than the middle grey for class 1."""

    def __init__(self) -> None:
        super().__init__()
        self.unit = torch.nn.Parameter(torch.ones(()), requires_grad=False)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        brightness = images.flatten(1).mean(1, keepdim=True) * self.unit
        return torch.cat([brightness, brightness], 1), torch.cat([brightness, -brightness], 1)
