"""A model card says what the run's records say, and leaves to people what only they know."""

import json
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from gancli import cli, evaluate
from gancli.api import TrainResult
from gancli.deploy.inspection import inspect
from gancli.evaluation.sources.folders import write_curve


def test_a_card_holds_the_runs_records(
    tiny_run: TrainResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(tiny_run.run, tmp_path / "run")
    report = evaluate(run / "gen.pth", metrics="fd", extractor="pixels", sets=1)
    write_curve(run / "evaluation-0001", [(12, report)])
    capsys.readouterr()
    assert cli.run(["export", str(run), "--card", str(tmp_path / "card"), "--json"]) == 0
    readme = Path(json.loads(capsys.readouterr().out)["card"])
    text = readme.read_text()
    head = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    assert head is not None and "library_name: gancli" in head[1] and '- "digits"' in head[1]
    figure = report.figure("fd")
    assert f"| {figure.name} | {figure.value:.4g}" in text and f"| {figure.n:,} | lower |" in text
    identity = inspect(run / "gen.pth").facts["generator"]
    assert identity in text and "| steps | 12 |" in text and tiny_run.verdict in text and "TODO" in text
    mark = inspect(readme.parent / "samples.png").mark
    assert mark is not None and mark.generator == identity
    with Image.open(readme.parent / "samples.png") as picture:
        assert picture.width > 500
    assert cli.run(["export", str(run), "--card", str(tmp_path / "card")]) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_card_needs_a_run(tiny_run: TrainResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(tiny_run.generator, tmp_path / "gen.pth")
    assert cli.run(["export", str(tmp_path / "gen.pth"), "--card", str(tmp_path / "card")]) == 2
    assert "has no config.toml" in capsys.readouterr().err and not (tmp_path / "card").exists()
