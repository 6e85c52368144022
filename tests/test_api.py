"""The functions in Python: their signatures, their messages, and what they leave as it was."""

import inspect
import re
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch

import gancli
from gancli.api import TrainResult
from gancli.config import TrainConfig
from gancli.errors import GancliError, UsageError


def test_the_package_lists_its_functions_without_importing_torch() -> None:
    code = (
        "import sys, gancli; assert {'train', 'sample', 'evaluate'} <= {*dir(gancli)}; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(gancli.__file__).parent / "py.typed").is_file()


def test_train_has_a_keyword_for_each_setting() -> None:
    parameters = inspect.signature(gancli.train).parameters
    assert {field.name for field in fields(TrainConfig)} | {"config", "resume", "settings", "progress"} <= {*parameters}
    assert next(iter(parameters.values())).kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert parameters["recipe"].default == "auto" and parameters["hyperparameters"].default == {}
    assert "batch_size: Real images" in str(inspect.getdoc(gancli.train))


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"d_lr": 1e-4}, "train() has no keyword 'd_lr'; recipes have d_lr: hyperparameters={'d_lr': ...}"),
        ({"epoch": 3}, "train() has no keyword 'epoch'; did you mean 'epochs'?"),
        ({"batch_size": 0}, "batch_size=0 must be more than 0."),
        ({"epochs": 1, "steps": 1}, "epochs and steps exclude each other; give one of them."),
        ({"precision": "fp8"}, "precision='fp8': choose from bf16, fp16, fp32"),
        ({"batch_size": 5000}, "batch_size=5000 is more than the"),
        ({"data": "digits", "holdout": 0.2}, "labels, color, alpha"),
    ],
)
def test_messages_name_keywords(tmp_path: Path, keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as wrong:
        gancli.train(out=str(tmp_path), progress="none", **keywords)
    assert message in str(wrong.value)
    assert "--" not in str(wrong.value) and "command line" not in str(wrong.value)


def test_other_functions_name_keywords_too(tiny_run: TrainResult) -> None:
    for call, message in (
        (lambda: gancli.sample(tiny_run.generator, n=0), "n=0 must be more than 0."),
        (lambda: gancli.sample(tiny_run.generator, classes=["3"]), "remove the class"),
        (lambda: gancli.evaluate(tiny_run.generator, sets=0), "sets=0 must be more than 0 and at most 1,000."),
        (lambda: gancli.evaluate(), "(ckpt)"),
    ):
        with pytest.raises(GancliError) as wrong:
            call()
        assert message in str(wrong.value)


def test_a_run_its_latest_and_its_best_stand_for_generators(
    tiny_run: TrainResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = gancli.sample(tiny_run.generator, n=3)
    out = tiny_run.run.parent
    monkeypatch.chdir(out.parent)
    if out.name != "runs":
        (out.parent / "runs").symlink_to(out)
    try:
        for name in (tiny_run.run, str(out / "latest"), "latest"):
            assert torch.equal(gancli.sample(name, n=3), expected)
        with pytest.raises(UsageError, match="has no best checkpoint"):
            gancli.sample(tiny_run.run / "best")
    finally:
        if out.name != "runs":
            (out.parent / "runs").unlink()


def test_a_notebook_shows_the_last_grid_of_a_run(tiny_run: TrainResult) -> None:
    assert tiny_run.samples is not None and tiny_run._repr_png_() == tiny_run.samples.read_bytes()
    assert replace(tiny_run, samples=None)._repr_png_() is None


def test_a_loaded_generator_draws_what_sample_draws(tiny_run: TrainResult) -> None:
    generator = gancli.load(tiny_run.run)
    expected = gancli.sample(tiny_run.generator, n=5, seed=3)
    assert torch.equal(generator.draw(5, seed=3), expected)
    assert torch.equal(generator.draw_from(generator.latents(5, seed=3)), expected)
    assert (generator.shape, generator.classes, generator.steps) == ((1, 8, 8), (), 12)
    images = generator.module(generator.latents(5, seed=3), None)
    assert images.abs().max() <= 1
    assert repr(generator).startswith(f"<Generator {generator.path}: ") and len(repr(generator).splitlines()) == 1
    assert generator._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match="n=0 must be more than 0"):
        generator.draw(0)


def test_a_report_prints_as_the_table_of_eval(tiny_run: TrainResult) -> None:
    report = gancli.evaluate(tiny_run.generator, metrics="fd", sets=1, n=20)
    shown = str(report)
    assert re.search(r"^\s*metric +generated +real", shown) and max(map(len, shown.splitlines())) < 150
    assert f"<td>{report.figures[0].name}</td>" in report._repr_html_()
