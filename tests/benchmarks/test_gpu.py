"""The script that measures a GPU, tried without one: its rows, and its comparison of weights."""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import gpu_checks
import gpu_tests
from gpu_rows import Asked, Row, Skipped, Tasks, do, facts, read, write
from training_steps import make_step, small

CPU = torch.device("cpu")
FACTS = {"card": "none", "torch": "1", "commit": "a"}


def asked(folder: Path, seconds: float = 600) -> Asked:
    return Asked(CPU, True, (1.0,), folder, folder, "", folder, time.time() + seconds)


def done(tasks: Tasks, known: list[Row], folder: Path, seconds: float = 600, **other: str) -> list[Row]:
    path = folder / f"{len(list(folder.iterdir()))}.jsonl"
    do("part", tasks, known, FACTS | other, asked(folder, seconds), path)
    return read(path)


def test_a_failure_is_a_row_and_the_other_tasks_go_on(tmp_path: Path) -> None:
    rows = done({"bad": lambda: {"figure": 1 / 0}, "good": lambda: {"figure": 3}}, [], tmp_path)
    assert rows[0]["error"] == "ZeroDivisionError: division by zero"
    assert rows[1]["figure"] == 3 and rows[1].items() >= FACTS.items()


def test_what_failed_is_done_again_and_what_was_skipped_is_not(tmp_path: Path) -> None:
    def refuse() -> Row:
        raise Skipped("no use here")

    known = done({"bad": lambda: {"figure": 1 / 0}, "useless": refuse}, [], tmp_path)
    assert known[1]["skipped"] == "no use here" and "error" not in known[1]
    again = done({"bad": lambda: {"figure": 2}, "useless": refuse}, known, tmp_path)
    assert [(row["name"], row["figure"]) for row in again] == [("bad", 2)]


def test_what_time_cuts_short_leaves_no_row(tmp_path: Path) -> None:
    def wait() -> Row:
        subprocess.run(["sleep", "5"], timeout=0.01, check=False)
        return {}

    assert [row["name"] for row in done({"slow": wait, "quick": lambda: {}}, [], tmp_path)] == ["quick"]


def test_rows_say_nothing_of_where_files_lie(tmp_path: Path) -> None:
    def fail() -> Row:
        raise ValueError("'/opt/some/bin/python3' broke /home/me/x.py:3, see https://a.org/b/c, 1/2 of cli/d.py")

    (row,) = done({"task": fail}, [], tmp_path)
    assert row["error"] == "ValueError: 'python3' broke x.py:3, see https://a.org/b/c, 1/2 of cli/d.py"


def test_a_failed_test_leaves_its_message_even_where_the_run_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "test_cuda.py"
    tests = ["def test_cuda_a(): assert 2 == 3", "def test_cuda_b(): pass"]
    tests += ["def test_cuda_c(): os.kill(os.getpid(), 9)"]
    path.write_text("\n".join(["import os", *tests]))
    row = gpu_tests._test(path, "not slow", asked(tmp_path))
    assert row["exit_code"] == -9 and (row["passed"], row["failed"]) == (1, 1)
    assert len(row["failures"]) == 1 and "assert 2 == 3" in row["failures"][0]


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


def test_weights_that_the_loss_does_not_move_are_left_out() -> None:
    """Biases before batch normalisations: they hold rounding alone, however it falls."""
    ours, theirs = (make_step(small("sngan"), dtype=torch.float64) for _ in range(2))
    ours(), theirs()
    bias = ours.state.g.blocks[0].shortcut.bias  # type: ignore[union-attr, index]
    with torch.no_grad():
        bias.neg_()
    found = gpu_checks.difference(ours, theirs)
    assert found["passed"] and found["left_out"] > 0
    with torch.no_grad():
        ours.state.g.to_image.weight.neg_()  # type: ignore[union-attr]
    assert not gpu_checks.difference(ours, theirs)["passed"]


def test_what_layers_draw_does_not_depend_on_the_order_in_memory() -> None:
    maps = torch.ones(2, 3, 4, 4)
    drawn = []
    for each in (maps, maps.contiguous(memory_format=torch.channels_last)):
        torch.manual_seed(0)
        with gpu_checks.DrawnOnCPU():
            drawn.append(torch.nn.functional.dropout(each))
    assert torch.equal(*drawn) and drawn[0].count_nonzero() < drawn[0].numel()


def test_rows_say_what_was_measured() -> None:
    assert facts(argparse.Namespace(device=CPU, commit="a")) == {
        "card": "cpu",
        "torch": torch.__version__,
        "commit": "a",
    }
