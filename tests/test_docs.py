"""The Python of every page of the documentation runs."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from gancli import train
from gancli.config.settings import declarations
from gancli.errors import Interrupted, UsageError
from gancli.evaluation import evaluate, metrics
from gancli.recipes.base import Spec

DOCS = Path(__file__).parents[1] / "docs"


def quick(code: str) -> str:
    """The code with few steps, and without training a classifier to measure with."""
    code = re.sub(r"STEPS = \d+", "STEPS = 20", code)
    return re.sub(r"(metrics=\[[^]]*\])", r'\1, extractor="random"', code)


def run_python_of(page: str) -> dict[str, Any]:
    """The names that a page's code leaves."""
    names: dict[str, Any] = {"__name__": page}
    for code in re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL):
        exec(quick(code), names)
    return names


def shown_by(cell: str, names: dict[str, Any]) -> Any:
    """Run a notebook's cell; the value of its last line, which a notebook shows."""
    *before, last = ast.parse(cell).body
    exec(compile(ast.Module(before, []), "cell", "exec"), names)
    if isinstance(last, ast.Expr):
        return eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    return exec(compile(ast.Module([last], []), "cell", "exec"), names)


def test_what_the_page_on_building_adds_works(capsys: pytest.CaptureFixture[str]) -> None:
    names = run_python_of("how-it-is-built.md")
    assert capsys.readouterr().out == "--patience\n"

    spec = Spec(1, 8, 8)
    recipe = names["Hinge"]().fitted(spec, images=160, length=1000)
    g, d = recipe.networks(spec)
    logits = d(g(torch.randn(4, recipe.latent_dim), None), None)
    assert logits.shape == (4,)
    one = torch.ones(3)
    assert recipe.d_adversarial(one, -one) == 0 and recipe.d_adversarial(0 * one, 0 * one) == 2
    assert recipe.g_adversarial(logits).isfinite()

    stripes = names["load_stripes"](None)
    assert len(stripes.train) == 160 and stripes.heldout.images.float().mean() == 127.5
    assert declarations(names["Patience"])["patience"].default == 5
    with pytest.raises(UsageError, match=r"--patience 0 must be more than 0\."):
        names["Patience"](patience=0)


def test_a_metric_as_the_page_on_building_adds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    metric = run_python_of("how-it-is-built.md")["METRICS"][0]
    monkeypatch.setattr(metrics, "table", lambda: {metric.name: metric})
    generated, real = (torch.full((100, 1, 8, 8), level, dtype=torch.uint8) for level in (10, 14))
    figure = evaluate(generated, real, metrics=["mean_gap"]).figure("mean_gap")
    assert (figure.value, figure.n) == (4.0, 100)


def test_the_page_on_python_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names = run_python_of("python.md")
    assert "torch.Size([16, 1, 8, 8]) True\n" in capsys.readouterr().out
    assert torch.equal(names["walk"][[0, -1]], names["generator"].draw(2, seed=3))
    assert len(names["frames"]) == 16 and len(names["losses"].d) == 10


def test_the_notebook_shows_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cells = json.loads((DOCS / "notebooks" / "first-gan.ipynb").read_text())["cells"]
    names: dict[str, Any] = {}
    cells = [cell for cell in cells if cell["cell_type"] == "code"]
    shown = [shown_by(quick("".join(cell["source"])), names) for cell in cells]
    run, (shape, _), generator, _, report, strip, losses = shown
    assert run._repr_png_() == run.samples.read_bytes() and generator._repr_png_().startswith(b"\x89PNG")
    assert shape == (16, 1, 8, 8) and "<table" in report._repr_html_() and strip.size == (9 * 72, 72)
    assert len(losses) == 4
    assert all(cell["outputs"] for cell in cells)


def test_the_callback_of_its_page_hears_every_line_and_can_end_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = run_python_of("callbacks.md")
    lines = (names["result"].run / "metrics.jsonl").read_text().splitlines()
    assert names["losses"].values == [json.loads(line)["d/adv"] for line in lines] and len(lines) == 3
    with pytest.raises(Interrupted, match="interrupted after step 3; the state is saved"):
        train(recipe="dcgan", steps=9, log_every=3, callbacks=[names["Losses"](wanted=100.0)], progress="none")
