"""Reports: honest figures, each beside its baseline, and limits on them."""

import json

import pytest
import torch

from gancli import data
from gancli.errors import UsageError
from gancli.evaluation import Evaluator, Report, extractor_for, parse_limit
from gancli.judging import feature_cache

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
    report = evaluator.evaluate(DIGITS.train.images[: len(DIGITS.heldout)])
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
