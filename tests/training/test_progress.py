"""What a person sees: a live view that fits 80 columns, plain lines in a pipe, a bar in a notebook."""

import io
import re
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from training_steps import labelled, make_step

from gancli import recipes, train
from gancli.evaluation.metrics import table
from gancli.health.vital_signs import VitalSigns
from gancli.recipes.base import WHOLE, Spec
from gancli.training import progress, views
from gancli.training.descriptions import description
from gancli.training.loop import Plan, Record

OPTIONS: dict[str, Any] = {"steps": 60, "batch_size": 16, "log_every": 5, "threads": 1, "recipe": "vanilla"}


class Clock:
    """A clock that somebody sets."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now


EVALUATED = {
    "eval/fd_lenet_6ec3": 3.25,
    "eval/coverage_lenet_6ec3": 0.8125,
    "eval/tone_pixels": 0.5,
    "eval/seconds": 1.5,
}


def plain_lines(steps: int, seconds: float, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> list[str]:
    """What a pipe gets of a run that writes a line of metrics after each step, evaluated once, at its third step."""
    clock = Clock()
    monkeypatch.setattr(views, "time", clock)
    view = views.PlainView()
    plan = Plan(steps, 64, images=1000, images_per_step=64, log_every=1, save_every=0, sample_every=0, eval_every=0)
    loop: Any = SimpleNamespace(
        plan=plan,
        state=SimpleNamespace(step=0),
        step=SimpleNamespace(images_seen=0, stage=WHOLE, stage_end=lambda total: total),
    )
    view.on_start(loop)
    losses = dict.fromkeys(("d/adv", "d/r1", "d/r2", "d/logit_real", "d/logit_fake", "g/adv"), -12.345678)
    for step in range(1, steps + 1):
        clock.now, loop.state.step, loop.step.images_seen = seconds * step / steps, step, 64 * step
        values = losses | {"health/separation": 0.9} | (EVALUATED if step == 3 else {})
        view.on_record(loop, Record(step, 64 * step, 64 * step / 1000, clock.now, values))
    return capsys.readouterr().err.splitlines()


def test_a_pipe_gets_few_and_short_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    lines = plain_lines(3600, 36.0, monkeypatch, capsys)
    assert [line.split("  ")[0] for line in lines] == [
        "step 1,000/3,600 (28%)", "step 2,000/3,600 (56%)", "step 3,000/3,600 (83%)", "step 3,600/3,600 (100%)"
    ]  # fmt: skip
    assert lines[0].split("  ")[1:4] == ["epoch 64/230", "6,400 images/s", "left 0:00:26"]
    assert all(len(line) <= 120 and "health" not in line and "6ec3" not in line for line in lines)
    assert all("d/adv -12.3  g/adv -12.3  fd 3.25  coverage 0.812" in line for line in lines), "the newest figures"


@pytest.mark.parametrize(("seconds", "lines"), [(1.0, 1), (1000.0, 20), (36_000.0, 120)])
def test_the_lines_of_a_run_are_few_and_a_long_one_does_not_fall_silent(
    seconds: float, lines: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(plain_lines(3600, seconds, monkeypatch, capsys)) == lines


def test_the_live_view_fits_80_columns_and_says_everything(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr("rich.console.Console", lambda **_: Console(file=screen, width=80, force_terminal=True))
    train(out=str(tmp_path), progress="rich", **OPTIONS)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    lines = text.split("\n")[-12:]
    shown = "\n".join(lines)
    assert max(map(len, re.split(r"[\r\n]", shown))) <= 80
    assert len(re.findall("[0-9]+%", shown)) == 1, "one bar, the share of the run"
    for part in (
        "0.654/0.654",
        "step 60/60",
        "100%",
        "images/s",
        "time left",
        "d/adv",
        "g/adv",
        "d/logit_fake",
        "000060.png",
    ):
        assert part in shown.replace("\n", ""), part


def test_the_bar_ends_full(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    train(out=str(tmp_path), progress="tqdm", **OPTIONS)
    assert "60/60" in capsys.readouterr().err


def test_metrics_and_tensorboard_hold_the_same_numbers(tmp_path: Any) -> None:
    import json

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = train(out=str(tmp_path), progress="none", **OPTIONS)
    events = EventAccumulator(str(result.run / "tensorboard"))
    events.Reload()
    lines = [json.loads(line) for line in (result.run / "metrics.jsonl").read_text().splitlines()]
    for name in ("d/adv", "g/adv", "d/logit_real", "d/logit_fake"):
        logged = [(event.step, event.value) for event in events.Scalars(name)]
        assert logged == [(line["step"], pytest.approx(line[name], rel=1e-6)) for line in lines]
        assert events.SummaryMetadata(name).summary_description == description(name) != ""
    assert [image.step for image in events.Images("samples")][-1] == 60


def test_decoding_is_a_bar_that_ends_or_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for view, shown in (("tqdm", "decoding"), ("none", ""), ("plain", "")):
        with progress.decoding_progress(view) as show:  # type: ignore[arg-type]
            for done in (0, 50, 100):
                show(done, 100)
        errors = capsys.readouterr().err
        assert shown in errors
        assert bool(shown) == bool(errors), "quick work needs no lines"
    monkeypatch.setattr(progress, "DECODING_SECONDS", -1.0)
    with progress.decoding_progress("plain") as show:
        show(50, 1000)
    assert capsys.readouterr().err == "decoding 50 of 1,000 pictures\n"


@pytest.mark.parametrize("recipe", recipes.names())
def test_every_loss_has_a_description(recipe: str) -> None:
    cls = recipes.find(recipe)
    spec = Spec(1, 8, 8, classes=4 if cls.conditional else 0)
    step = labelled(make_step(cls().fitted(spec, 1000, 1000), spec=spec))
    assert [name for name in step() if not description(name)] == []


def test_every_measurement_and_evaluation_has_a_description() -> None:
    told = re.findall(r"^ +- (\w+):", VitalSigns.__call__.__doc__ or "", re.M)
    assert {"separation", "loss_scale", "contrast"} <= set(told)
    fast = [name for name, metric in table().items() if metric.group == "fast"]
    names = [f"health/{name}" for name in told] + [f"eval/{name}_lenet_6ec3" for name in fast]
    assert [name for name in names if not description(name)] == []
    assert description("eval/fd_lenet_6ec3").endswith("Measured on: lenet_6ec3.")
    assert description("eval/class_kl_lenet_6ec3") != description("eval/kid_lenet_6ec3")
    assert description("unheard/of") == description("eval/unheard_lenet_6ec3") == ""
