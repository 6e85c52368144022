"""What a run ends with: whether it worked, its best generator, and commands that go on from there."""

import errno
import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch

from gancli import train
from gancli.api import TrainResult
from gancli.artifacts import checkpoint, network_file
from gancli.artifacts.lookup import generator_called
from gancli.artifacts.run_folder import RunFolder
from gancli.cli import run
from gancli.errors import Interrupted
from gancli.steps.state import Best
from gancli.training.loop import Callback, Evaluation, Loop

SETTINGS: dict[str, Any] = {
    "recipe": "vanilla", "steps": 12, "batch_size": 16, "threads": 1, "log_every": 2, "save_every": 2, "eval_every": 2,
    "progress": "none", "keep": 2,
}  # fmt: skip
FAILING = ["--recipe", "vanilla", "--steps", "200", "--batch-size", "16", "--threads", "1", "--watch-every", "20"]
FAILING += ["--set", "d_lr=2e-3", "--set", "g_lr=1e-5", "--quiet"]


@pytest.fixture
def best_at_four_and_six(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluations that take a moment, and call steps 4 and 6 the best so far."""

    def evaluate(self: Any, state: Any) -> Evaluation:
        is_better = state.step in (4, 6)
        return Evaluation({"eval/fd": 1.0}, Best("fd", 10.0 - state.step, state.step) if is_better else state.best)

    monkeypatch.setattr("gancli.runs.quick_evaluation.QuickEvaluation.__init__", lambda *_: None)
    monkeypatch.setattr("gancli.runs.quick_evaluation.QuickEvaluation.__call__", evaluate)


@pytest.fixture
def finished(best_at_four_and_six: None, tmp_path: Path) -> TrainResult:
    return train(out=str(tmp_path / "finished"), **SETTINGS)


def test_best_pth_holds_the_best_evaluations_average(finished: TrainResult) -> None:
    assert finished.best_generator == finished.run / "best.pth" == generator_called(finished.run / "best")
    expected = checkpoint.load(RunFolder(finished.run).checkpoint(6)).state["ema"]
    file = network_file.load(finished.run / "best.pth", "generator")
    assert file.steps == 6 == finished.best["step"] and file.weights.keys() == expected.keys()
    assert all(torch.equal(file.weights[name], expected[name]) for name in expected)
    assert network_file.load(finished.generator, "generator").steps == 12


@pytest.mark.parametrize("last", [4, 6, 8])
def test_a_resumed_run_ends_with_the_same_best_pth(finished: TrainResult, last: int) -> None:
    """Whether it died before the best evaluation or after it, with ``best.pth`` or without."""
    best, folder = (finished.run / "best.pth").read_bytes(), RunFolder(finished.run)
    kept = SETTINGS | {"keep": 20}
    folder = RunFolder(train(out=str(finished.run.parent), **kept).run)
    for path in folder.checkpoints():
        if path > folder.checkpoint(last):
            path.unlink()
    if last == 8:
        folder.best_generator.unlink()
    train(resume=str(folder.path), progress="none")
    assert folder.best_generator.read_bytes() == best
    assert [path.name for path in folder.path.glob("best.pth.*")] == (["best.pth.aside"] if last == 4 else [])


def test_a_best_pth_that_did_not_fit_is_written_at_the_next_turn(
    best_at_four_and_six: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    save, failed = network_file.save, []

    def full_once(path: Path, file: Any) -> None:
        if path.name == "best.pth" and file.steps == 6 and not failed:
            failed.append(path)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(path, file)

    monkeypatch.setattr(network_file, "save", full_once)
    folder = RunFolder(train(out=str(tmp_path), **SETTINGS).run)
    assert "best.pth was not written (No space left on device)" in caplog.text
    assert network_file.load(folder.best_generator, "generator").steps == 6


def test_a_failing_run_says_so_and_its_next_commands_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", *FAILING, "--json", "--out", str(tmp_path)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["verdict"] == "failing: discriminator-won since step 40"
    assert result["failures"] == {"discriminator-won": 40}
    assert [alarm["spells"] for alarm in result["alarms"]] == [[{"since": 40, "until": None}]]
    draw, doctor = (shlex.split(command) for command in result["next_commands"])
    assert run(draw[1:]) == 0 and Path(draw[-1]).is_file() and draw[2] == result["generator"]
    assert doctor == ["gancli", "doctor", result["run"]] and run(doctor[1:]) == 3


def test_a_short_run_is_not_called_healthy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--recipe", "vanilla", "--steps", "4", "--batch-size", "16", "--watch-every", "2", "--quiet"]
    assert run(["train", *arguments, "--out", str(tmp_path)]) == 0
    printed = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert printed["verdict"].startswith("no failure seen; too short to judge")
    assert printed["next"].startswith(f"gancli sample {printed['generator']} ")
    assert printed["curves"] == f"tensorboard --logdir {printed['run']}/tensorboard"
    assert printed["then"] == f"gancli eval {printed['generator']}"


class Stops(Callback):
    def on_step(self, loop: Loop) -> None:
        if loop.state.step == 5:
            loop.stop(2)


def test_an_interrupted_run_names_the_command_that_resumes_it(finished: TrainResult, tmp_path: Path) -> None:
    settings = SETTINGS | {"out": str(tmp_path / "a b")}
    with pytest.raises(Interrupted, match=r"interrupted after step 5; the state is saved\. Go on with: ") as stopped:
        train(callbacks=[Stops()], **settings)
    command = shlex.split(str(stopped.value).partition("Go on with: ")[2])
    assert command[0] == "gancli" and run([*command[1:], "--quiet"]) == 0
    folder = next((tmp_path / "a b").iterdir())
    assert (folder / "gen.pth").read_bytes() == finished.generator.read_bytes()
    assert (folder / "best.pth").read_bytes() == (finished.run / "best.pth").read_bytes()
