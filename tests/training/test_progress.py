"""What a person sees: a live view that fits 80 columns, plain lines in a pipe, a bar in a notebook."""

import io
import re
from typing import Any

import pytest
from rich.console import Console

from gancli import train
from gancli.training import progress

OPTIONS: dict[str, Any] = {"steps": 60, "batch_size": 16, "log_every": 5, "threads": 1, "recipe": "vanilla"}


def test_plain_lines_come_once_an_epoch(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    train(out=str(tmp_path), progress="plain", **(OPTIONS | {"steps": 200, "batch_size": 64}))
    lines = capsys.readouterr().err.splitlines()
    epochs = [int(float(re.match(r"epoch ([\d.]+)/", line)[1])) for line in lines]  # type: ignore[index]
    assert epochs == [1, 2, 3, 4, 5, 6, 7, 8, 8], "one line an epoch, and one at the end"
    assert "step 200/200" in lines[-1]
    assert all(name in lines[-1] for name in ("images/s", "left 0:00:00", "d/adv", "g/adv", "d/logit_real"))


def test_the_live_view_fits_80_columns_and_says_everything(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr("rich.console.Console", lambda **_: Console(file=screen, width=80, force_terminal=True))
    train(out=str(tmp_path), progress="rich", **OPTIONS)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    lines = text.split("\n")[-12:]
    shown = "\n".join(lines)
    assert max(map(len, re.split(r"[\r\n]", shown))) <= 80
    for part in ("epoch 1/1", "step 60/60", "images/s", "time left", "d/adv", "g/adv", "d/logit_fake", "000060.png"):
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
