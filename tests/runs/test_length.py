"""A run's length by wall-clock time: what is written, how it becomes steps, and what a resume makes of it."""

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
import torch

from gancli import config as configuration
from gancli import recipes, train
from gancli.api import dry_run
from gancli.config import TrainConfig, merge, parse_duration
from gancli.errors import UsageError
from gancli.machine.distributed import Group
from gancli.recipes.base import Recipe, Spec
from gancli.recipes.latent import Latent
from gancli.runs import length, waiting
from gancli.runs.length import Part
from gancli.runs.prepare import prepare
from gancli.training.loop import Plan

PLAN = Plan(1000, 10, 100, 10, 50, 0, 0, 0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("20m", 1200), ("1h", 3600), ("1h30m", 5400), ("90s", 90), ("1.5H", 5400), ("overnight", 28800)],
)
def test_times_are_hours_minutes_and_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "20", "0m", "m", "1.2.3h", "-5m", "30m1h", "inf", "9999999h", "nights"])
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a time; write 20m"):
        parse_duration(text)


@pytest.mark.parametrize("other", [{"steps": 5}, {"epochs": 2.0}])
def test_a_length_is_given_in_one_way(other: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        TrainConfig(time="1h", **other)
    assert "time" not in merge({"time": "1h"}, [], other), "a flag's length replaces the file's"


@pytest.mark.parametrize("name", ["vanilla", "r3gan", "progressive"])
def test_steps_take_the_time_at_their_mean_speed(name: str) -> None:
    recipe = recipes.find(name)()
    same, steps = recipe.lasting(60.0, [0.125, 0.25, 0.375], 64)
    assert (same, steps) == (recipe, 240)
    assert recipe.lasting(0.0, [1.0], 64)[1] == 1


def test_each_stage_gets_its_share_of_the_time() -> None:
    recipe, steps = Latent().lasting(100.0, [1.0, 0.01, 2.0], 32)
    first, second, last = 40, 500, 27  # 40, 5 and 55 seconds
    assert (recipe.autoencoder_images, recipe.latent_images) == (32 * first, 32 * second)
    assert steps == first + second + last
    trained, steps = Latent(trained=True).lasting(60.0, [0.01, 2.0], 32)
    assert trained.latent_images == 32 * 500 and steps == 500 + last, "two of its stages, 5 to 55"


def test_stages_whose_length_is_given_keep_it() -> None:
    asked = Latent(autoencoder_images=320.0, adversarial=0.0)
    recipe, steps = asked.lasting(100.0, [1.0, 0.01], 32)
    assert recipe == asked and steps == 10 + 9000
    trained = replace(asked, trained=True)
    assert trained.lasting(100.0, [0.01], 32) == (trained, 10_000)
    both = replace(asked, latent_images=3200.0)
    assert both.lasting(100.0, [1.0, 0.01, 1.0], 32) == (both, 10 + 100 + 89)


def _parts(recipe: Recipe) -> list[tuple[int, int]]:
    return [(part.begins, part.steps) for part in length.parts_of(recipe, PLAN)]


def test_the_parts_of_a_run_are_its_stages() -> None:
    recipe = Latent(autoencoder_images=255.0, adversarial=0.0).fitted(Spec(3, 32, 32), 100, 10_000)
    assert _parts(recipe) == [(0, 26), (26, 974)], "the step that passes the border belongs to the first stage"
    assert _parts(replace(recipe, trained=True)) == [(0, 1000)]
    assert _parts(replace(recipe, autoencoder_images=1e6)) == [(0, 1000)]
    assert _parts(replace(recipe, adversarial=0.2, latent_images=5000.0)) == [(0, 26), (26, 500), (526, 474)]
    assert _parts(recipes.find("vanilla")()) == [(0, 1000)]


def test_the_parts_of_networks_that_grow_are_the_run() -> None:
    parts = _parts(recipes.find("progressive")())
    assert len(parts) == length.PLACES and sum(steps for _, steps in parts) == 1000
    assert [begins for begins, _ in parts[1:]] == [begins + steps for begins, steps in parts[:-1]]


def test_a_busy_moment_does_not_decide_how_long_a_step_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    step = MagicMock()
    step.setup.recipe.cycle, step.setup.noise.device, step.state.step = 1, torch.device("cpu"), 0
    clock = 0.0

    def step_takes(_: Any, cycle: int) -> float:
        nonlocal clock
        clock += 1.0
        return 9.0 if clock <= 3 else 1.0

    monkeypatch.setattr(length, "seconds_of", step_takes)
    monkeypatch.setattr(length.time, "perf_counter", lambda: clock)
    assert length.timed(step, [Part(0, 100)], rounds=3)[0].usual == 9.0
    clock = 0.0
    assert length.timed(step, [Part(0, 100)], rounds=3, seconds=8.0)[0].usual == 1.0


def test_a_time_becomes_steps_that_a_resume_keeps(tmp_path: Path) -> None:
    result = train(time="1s", recipe="vanilla", out=str(tmp_path), progress="none", threads=1)
    written = configuration.load_toml(result.run / "config.toml")
    assert written["steps"] == result.steps > 1 and not {"time", "epochs"} & written.keys()
    assert train(resume=str(result.run), progress="none").steps == result.steps
    with pytest.raises(UsageError, match="time is for a new run"):
        train(resume=str(result.run), time="1h", progress="none")


@pytest.mark.parametrize(("wanted", "evaluations"), [("30m", 3), ("1h", 6), ("overnight", 20)])
def test_evaluations_take_a_small_part_of_the_time(
    wanted: str, evaluations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(length, "_measured", lambda usual, build, seconds: (0.0, [0.01]))
    plan = prepare(TrainConfig(recipe="vanilla", time=wanted, compile="off", threads=1), Group()).resolved.plan
    assert plan.total_steps == int(0.9 * parse_duration(wanted) / 0.01)
    assert -(-plan.total_steps // plan.eval_every) == evaluations
    told = TrainConfig(recipe="vanilla", time=wanted, eval_every=7, compile="off", threads=1)
    assert prepare(told, Group()).resolved.plan.eval_every == 7


def test_long_timing_says_what_it_does(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "SECONDS", 0.01)
    caplog.set_level(logging.INFO, "gancli")
    dry_run(recipe="vanilla", steps=2, threads=1)
    said = [line for line in caplog.messages if line.startswith("timing steps of part 1 of 1 of the run, for 0 s so")]
    assert said
    told = len(caplog.messages)
    time.sleep(0.05)
    assert len(caplog.messages) == told, "it ends with the timing"
