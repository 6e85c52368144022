"""Evaluation during training: when it happens unasked, what it costs, and which checkpoint it calls the best."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gancli import data, evaluate, sample, train
from gancli.api import TrainResult
from gancli.cli import run
from gancli.config import TrainConfig
from gancli.errors import UsageError
from gancli.evaluation import Figure, features, image_set
from gancli.evaluation.sources.choose_evaluator import best_metric_of, evaluator_for
from gancli.machine.distributed import Group
from gancli.runs.prepare import prepare
from gancli.runs.quick_evaluation import is_better
from gancli.sampling.rendering import save_png
from gancli.steps.state import Best

Capture = pytest.CaptureFixture[str]


def figure(value: float, better: str, baseline: float | None = None) -> Figure:
    return Figure("m", "m_x", value, None, (value,), baseline, None, 10, better)


@pytest.mark.parametrize(
    ("value", "better", "best", "expected"),
    [
        (1.0, "lower", 2.0, True), (2.0, "lower", 1.0, False), (1.0, "lower", 1.0, False),
        (2.0, "higher", 1.0, True), (1.0, "higher", 2.0, False),
        (4.0, "as real", 1.0, True), (9.0, "as real", 4.0, False),
        (math.nan, "lower", 1.0, False),
    ],
)  # fmt: skip
def test_better_is_what_the_metric_says(value: float, better: str, best: float, expected: bool) -> None:
    found = figure(value, better, 5.0)
    assert is_better(found, Best("m_x", best, 1)) is expected
    assert is_better(found, None) is not math.isnan(value)
    assert is_better(found, Best("m_other", best, 1)) is not math.isnan(value)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    return train(
        out=str(tmp_path_factory.mktemp("runs")), progress="none", steps=12, batch_size=16, threads=1, log_every=5,
        eval_every=3, best_metric="recall", keep=1, save_every=12,
    )  # fmt: skip


def lines(result: TrainResult) -> list[dict[str, float]]:
    found = [json.loads(line) for line in (result.run / "metrics.jsonl").read_text().splitlines()]
    return [line for line in found if "eval/seconds" in line]


def test_the_chosen_metric_decides_on_the_best_checkpoint(evaluated: TrainResult) -> None:
    best = evaluated.best
    assert [line["step"] for line in lines(evaluated)] == [3, 6, 9, 12]
    values = {line["step"]: line[f"eval/{best['metric']}"] for line in lines(evaluated)}
    assert best["metric"].startswith("recall_lenet_")
    assert best["value"] == max(values.values())
    assert best["step"] == max(values, key=values.__getitem__)
    assert best["checkpoint"].exists()


def test_the_best_checkpoint_can_be_drawn_from_and_measured(evaluated: TrainResult) -> None:
    images = sample(evaluated.best["checkpoint"], n=4)
    assert images.shape == (4, 1, 8, 8)
    report = evaluate(evaluated.best["checkpoint"], metrics="recall", n=330, sets=1)
    assert report.figure("recall").n == 330
    last = evaluated.run / "checkpoints" / "step-000012.pt"
    assert torch.equal(sample(last, n=4), sample(evaluated.generator, n=4))


def test_all_of_the_fast_group_is_logged(evaluated: TrainResult) -> None:
    names = {name.removeprefix("eval/").split("_lenet_")[0] for name in lines(evaluated)[-1] if name.startswith("eval")}
    assert names == {
        "fd", "kid", "precision", "recall", "density", "coverage", "modes", "reverse_kl", "class_kl", "seconds",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 500),
        ({"steps": 100}, 0),
        ({"steps": 3200}, 500),
        ({"steps": 30_000}, 1500),
        ({"steps": 100, "best_metric": "coverage"}, 23),
        ({"steps": 100, "eval_every": 7}, 7),
        ({"eval_every": 0}, 0),
        ({"data": "ring", "steps": 2000}, 500),
        ({"data": "ring", "steps": 20}, 0),
    ],
)
def test_runs_are_evaluated_unasked_unless_they_are_short(options: dict[str, int], expected: int) -> None:
    prepared = prepare(TrainConfig(compile="off", **options), Group())  # type: ignore[arg-type]
    assert prepared.resolved.plan.eval_every == expected


def test_figures_of_pixels_may_choose_where_there_are_no_labels() -> None:
    digits = data.load("digits")
    unlabelled = replace(
        digits, train=data.Split(digits.train.images), heldout=data.Split(digits.heldout.images), classes=()
    )
    assert best_metric_of("tone", unlabelled) == "tone"
    assert best_metric_of("auto", unlabelled) == "fd"
    with pytest.raises(UsageError, match="not measured during training"):
        best_metric_of("tone", digits)
    with pytest.raises(UsageError, match="not measured during training"):
        best_metric_of("modes", unlabelled)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--best-metric", "coverge"], "did you mean 'coverage'"),
        (["--best-metric", "authpct"], "not measured during training"),
        (["--data", "ring", "--best-metric", "fd"], "choose from high_quality, modes, reverse_kl"),
    ],
)
def test_a_metric_that_is_not_measured_is_refused(
    capsys: Capture, tmp_path: Path, arguments: list[str], message: str
) -> None:
    assert run(["train", *arguments, "--out", str(tmp_path / "runs"), "-q"]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_too_few_held_out_pictures_stop_no_training(capsys: Capture, tmp_path: Path) -> None:
    for number, image in enumerate(data.load("digits").train.images[:20]):
        save_png(image, tmp_path / "pictures" / f"{number}.png")
    common = ["train", "--data", str(tmp_path / "pictures"), "--out", str(tmp_path / "runs"), "--steps", "3", "-q"]
    assert run([*common, "--eval-every", "2"]) == 2
    assert "--eval-every 2 needs 6 held-out images" in capsys.readouterr().err
    assert run([*common, "--best-metric", "fd", "--batch-size", "4"]) == 0


def test_real_images_features_are_computed_once_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    digits, seen = data.load("digits"), []
    real = features.extract

    def counting(images: torch.Tensor, *rest: object) -> features.Features:
        seen.append(len(images))
        return real(images, *rest)  # type: ignore[arg-type]

    evaluator_for(digits, torch.device("cpu"), 0, 100)[0].evaluate(digits.train.images[:100], "fd")
    monkeypatch.setattr(image_set, "extract", counting)
    evaluator_for(digits, torch.device("cpu"), 0, 100)[0].evaluate(digits.train.images[:100], "fd")
    assert len(digits.heldout) not in seen
    assert sum(seen) <= 100 + 100 + len(digits.train)
