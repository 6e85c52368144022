"""The rules of the watch, on the measurements that benchmarks/health.py has kept of whole runs."""

import json
from pathlib import Path
from typing import Any

import pytest

from gancli.health.watch import diagnose

RESULTS = Path(__file__).parents[2] / "benchmarks" / "health.json"
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def rows() -> Rows:
    """Runs whose end was judged by its coverage; not those that can only learn a few pictures by heart."""
    kept = json.loads(RESULTS.read_text())
    return [row for row in kept if "coverage" in row and (row["data"], row["augment"]) != ("few digits", "none")]


def alarms(rows: Rows) -> dict[str, list[str]]:
    """By run, the failures that the watch calls out."""
    return {f"{row['name']}, seed {row['seed']}": [a.failure for a in diagnose(row["lines"])[0]] for row in rows}


def test_hardly_any_healthy_run_is_alarmed_and_hardly_any_failed_one_is_not(rows: Rows) -> None:
    healthy = alarms([row for row in rows if row["coverage"] > 0.15])
    failed = alarms([row for row in rows if row["coverage"] < 0.05])
    assert len(healthy) >= 25 and len(failed) >= 20
    assert sum(map(bool, healthy.values())) <= 0.08 * len(healthy), healthy
    sound = {name: told for name, told in healthy.items() if "rate" not in name}
    assert sum(map(bool, sound.values())) <= 0.04 * len(sound), sound
    assert sum(map(bool, failed.values())) >= 0.85 * len(failed), failed


def test_recipes_with_styles_or_stages_that_break_are_called_out(rows: Rows) -> None:
    told = alarms(rows)
    assert told["latent, G's rate 0.05, seed 0"] == ["discriminator-lost"]
    assert not told["stylegan2, R1 of 3, seed 0"]
    assert told["stylegan2, seed 0"] == told["stylegan2, R1 of 0.1, seed 0"] == ["collapse"]
