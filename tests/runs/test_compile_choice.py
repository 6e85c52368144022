"""The choice of compiling: only where it works, agrees and pays; the compiler is replaced unless marked slow."""

import logging
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from training_steps import change, make_step

from gancli import train
from gancli.artifacts.run_folder import RunFolder
from gancli.recipes.dcgan import DCGAN
from gancli.recipes.dragan import DRAGAN
from gancli.runs import compile_choice
from gancli.steps import traces
from gancli.steps.step import Step

RECIPE = DCGAN(width=4)


def build(way: compile_choice.Way) -> Step:
    return make_step(RECIPE, compiled=way == "on")


class Calling(nn.Module):
    """Stands for a compiled network: does something, then what the network does."""

    def __init__(self, network: nn.Module, before: Any) -> None:
        super().__init__()
        self._orig_mod, self.before = network, before

    def forward(self, *inputs: Any) -> Any:
        self.before()
        return self._orig_mod(*inputs)


@pytest.fixture
def long_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run is long enough to try."""
    monkeypatch.setattr(compile_choice, "MIN_STEPS", 1)
    monkeypatch.setattr(compile_choice, "MIN_SECONDS", {"cpu": 0.0})


def compiled_as(monkeypatch: pytest.MonkeyPatch, before: Any, factor: float = 1.0) -> None:
    """Let the compiled step do something, then what the trace of the step does, its answers times a factor."""

    def compiled(traced: nn.Module) -> Any:
        return lambda *inputs: [before(), *(factor * each for each in traced(*inputs))][1:]

    monkeypatch.setattr(traces, "compiled_by_torch", compiled)


def no_compiler() -> None:
    raise RuntimeError("\nNo working C++ compiler found\nand a long explanation")


def test_short_runs_and_those_told_not_to_try_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled_as(monkeypatch, no_compiler)
    assert compile_choice.choose("auto", compile_choice.MIN_STEPS - 1, build) == "off"
    assert compile_choice.choose("off", 10**9, build) == "off"


@pytest.mark.parametrize(("asked", "level"), [("auto", logging.INFO), ("on", logging.WARNING)])
def test_without_a_compiler_a_run_goes_on_with_one_line(
    asked: Any, level: int, long_runs: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    compiled_as(monkeypatch, no_compiler)
    assert compile_choice.choose(asked, 10**6, build) == "off"
    _, record = caplog.records  # the first says that it is tried
    assert record.levelno == level
    assert record.getMessage() == (
        "compile: off, since the step cannot be compiled here (RuntimeError: No working C++ compiler found)."
    )


def test_what_compiles_to_something_else_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    compiled_as(monkeypatch, lambda: None, 10.0)
    assert compile_choice.choose("on", 10, build) == "off"
    assert "the compiled step gives another d/" in caplog.text


@pytest.mark.parametrize(("seconds", "wanted"), [(1.1, "off"), (0.5, "on")])
def test_only_what_is_faster_is_taken_without_being_told(
    seconds: float, wanted: str, long_runs: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled_as(monkeypatch, lambda: None)
    timed = {"compiled": seconds, "plain": 1.0}  # for a step
    monkeypatch.setattr(
        compile_choice, "seconds_of", lambda step, _=1: timed[("plain", "compiled")["compiled" in step.way]]
    )
    assert compile_choice.choose("auto", 10**6, build) == wanted
    assert compile_choice.choose("on", 10, build) == "on"


def test_penalties_are_of_the_network_as_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled code can be differentiated only once; networks alone are compiled where one trace would not do."""
    plain = make_step(DRAGAN(width=4, penalty=10.0), plain=True)
    calls: list[str] = []
    monkeypatch.setattr(torch, "compile", lambda n, **_: Calling(n, lambda: calls.append(type(n).__name__)))
    compiled = make_step(DRAGAN(width=4, penalty=10.0), compiled=True, precision="fp16")
    change(compiled, precision="fp32")
    assert compiled.way == "plain, networks compiled"
    assert torch.equal(plain()["d/gp"], compiled()["d/gp"])
    assert calls.count("Discriminator") == 2  # D's loss and G's, not the penalty


def test_a_compiled_run_that_goes_on_without_a_compiler_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    compiled_as(monkeypatch, lambda: None)
    options: dict[str, Any] = {"recipe": "vanilla", "batch_size": 16, "threads": 1, "progress": "none"}
    run = RunFolder(train(out=str(tmp_path), steps=2, compile="on", **options).run)
    train(resume=str(run.path), steps=3, progress="none")
    assert "not bit for bit" not in caplog.text
    compiled_as(monkeypatch, no_compiler)
    assert train(resume=str(run.path), steps=4, progress="none").steps == 4
    assert "compile was on and is now off: the run goes on, but not bit for bit." in caplog.text
    assert 'compile = "off"' in run.config.read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "settings"),
    [("dcgan", ["width=8"]), ("r3gan", ["network=residual", "width=16", "decay_images=128"]), ("vanilla", [])],
)
def test_a_compiled_run_agrees_with_a_plain_one_and_resumes_bit_for_bit(
    recipe: str, settings: list[str], tmp_path: Path
) -> None:
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "compiled"))
    options: dict[str, Any] = {
        "recipe": recipe, "settings": settings, "steps": 8, "batch_size": 16, "save_every": 4, "log_every": 4,
        "threads": 1, "progress": "none",
    }  # fmt: skip
    first = train(out=str(tmp_path / "whole"), compile="on", **options)
    whole = RunFolder(first.run)
    assert 'compile = "on"' in whole.config.read_text()
    half = train(out=str(tmp_path / "half"), compile="on", **(options | {"steps": 4}))
    resumed = RunFolder(train(resume=str(half.run), steps=8, progress="none").run)
    assert resumed.generator.read_bytes() == whole.generator.read_bytes()
    assert resumed.discriminator.read_bytes() == whole.discriminator.read_bytes()
    plain = train(out=str(tmp_path / "plain"), compile="off", **options)
    assert all(abs(value - plain.metrics[name]) < 0.05 for name, value in first.metrics.items() if name[:2] == "d/")
