"""What a call from Python leaves as it was: generators, threads, determinism, and how matrices are multiplied."""

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gancli import evaluate, reconstruct, sample, train
from gancli.api import TrainResult, dry_run, evaluate_run
from gancli.machine import global_state

FEW: dict[str, Any] = {"steps": 2, "batch_size": 8, "progress": "none"}


def seeded_draws(call: Callable[[], object]) -> tuple[float, float, float]:
    """What torch, NumPy and `random` draw after a call, seeded before it."""
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    call()
    return torch.rand(1).item(), np.random.rand(), random.random()


def settings() -> tuple[Any, ...]:
    matmul = torch.backends.mkldnn.matmul.fp32_precision, torch.backends.cuda.matmul.fp32_precision
    return torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), dict(os.environ), *matmul


def test_public_calls_leave_the_callers_draws_and_settings(tmp_path: Path, tiny_run: TrainResult) -> None:
    before, expected = settings(), seeded_draws(lambda: None)
    more: dict[str, Any] = FEW | {"out": str(tmp_path), "threads": 2, "deterministic": True}
    trained: list[TrainResult] = []
    calls: dict[str, Callable[[], object]] = {
        "train": lambda: trained.append(train(recipe="vaegan", settings=["width=4"], **more)),
        "dry run": lambda: dry_run(recipe="vanilla", steps=2, threads=2, deterministic=True),
        "sample": lambda: sample(tiny_run.generator, n=2),
        "evaluate": lambda: evaluate(tiny_run.generator, metrics="fd", sets=1, n=50),
        "evaluate run": lambda: evaluate_run(tiny_run.run, metrics="fd", sets=1, n=50),
        "reconstruct": lambda: reconstruct(trained[0].generator, n=2),
    }
    for name, call in calls.items():
        assert seeded_draws(call) == expected, name
        assert settings() == before, name


def test_what_an_error_leaves_is_put_back_too() -> None:
    before, expected = settings(), seeded_draws(lambda: None)

    @global_state.restored()
    def fails() -> None:
        torch.set_num_threads(3)
        torch.use_deterministic_algorithms(True)
        random.random(), np.random.rand(), torch.rand(1)
        raise ValueError

    def call() -> None:
        with pytest.raises(ValueError):
            fails()

    assert seeded_draws(call) == expected and settings() == before


def test_the_first_use_of_gancli_draws_no_number_of_the_callers() -> None:
    """A library that draws when it is imported does so in a process that has not imported it."""
    code = "import random, gancli; before = random.getstate(); gancli.sample; assert random.getstate() == before"
    subprocess.run([sys.executable, "-c", code], check=True)
