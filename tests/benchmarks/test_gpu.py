"""The script that measures a GPU, tried without one: its rows, and its comparison of weights."""

import argparse
import sys
import time
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import gpu_checks
from gpu_rows import Asked, Row, Tasks, do, facts, read, write
from training_steps import make_step, small

CPU = torch.device("cpu")
FACTS = {"card": "none", "torch": "1", "commit": "a"}


def asked(folder: Path, seconds: float = 600) -> Asked:
    return Asked(CPU, True, 1.0, folder, folder, folder, time.time() + seconds)


def done(tasks: Tasks, known: list[Row], folder: Path, seconds: float = 600, **other: str) -> list[Row]:
    path = folder / f"{len(list(folder.iterdir()))}.jsonl"
    do("part", tasks, known, FACTS | other, asked(folder, seconds), path)
    return read(path)


def test_a_failure_is_a_row_and_the_other_tasks_go_on(tmp_path: Path) -> None:
    rows = done({"bad": lambda: {"figure": 1 / 0}, "good": lambda: {"figure": 3}}, [], tmp_path)
    assert rows[0]["error"] == "ZeroDivisionError: division by zero"
    assert rows[1]["figure"] == 3 and rows[1].items() >= FACTS.items()


def test_what_is_known_of_this_card_and_commit_is_not_done_again(tmp_path: Path) -> None:
    tasks: Tasks = {"first": lambda: {"figure": 1}, "second": lambda: {"figure": 2}}
    known = write(tmp_path / "all.json", [], done({"first": lambda: {"figure": 0}}, [], tmp_path))
    assert [row["name"] for row in done(tasks, read(tmp_path / "all.json"), tmp_path)] == ["second"]
    later = done(tasks, known, tmp_path, commit="b")
    assert [row["name"] for row in later] == ["first", "second"]
    assert [row["figure"] for row in write(tmp_path / "all.json", known, later)] == [1, 2]
    assert len(done(tasks, known, tmp_path, card="other")) == 2


def test_what_there_is_no_time_for_leaves_no_row(tmp_path: Path) -> None:
    assert done({"task": lambda: {}}, [], tmp_path, seconds=0) == []


@pytest.mark.parametrize("name", ["vanilla", "acgan", "dragan"])
def test_a_device_is_compared_with_the_cpu(name: str, tmp_path: Path) -> None:
    row = gpu_checks._parity(name, asked(tmp_path), plain=True)
    assert row["passed"] and row["difference"] < 1e-12


def test_other_weights_are_noticed() -> None:
    ours, theirs = (make_step(small("vanilla"), dtype=torch.float64) for _ in range(2))
    assert gpu_checks.difference(ours, theirs)["difference"] == 0
    with torch.no_grad():
        weight = next(ours.state.d.parameters())
        weight.mul_(1.001)
    found = gpu_checks.difference(ours, theirs)
    assert not found["passed"] and found["difference"] == pytest.approx(0.001) and found["of"].startswith("d.")
    with torch.no_grad():
        weight.fill_(float("nan"))
    assert not gpu_checks.difference(ours, theirs)["passed"]


def test_rows_say_what_was_measured() -> None:
    assert facts(argparse.Namespace(device=CPU, commit="a")) == {
        "card": "cpu",
        "torch": torch.__version__,
        "commit": "a",
    }
