"""Every recipe learns: after a short run on the digits, samples cover a part of the held-out images."""

from pathlib import Path

import pytest

from gancli import evaluate, recipes, train

STEPS = {"began": 9000, "sngan": 300, "projection": 300, "wgan": 1000, "wgan-gp": 800, "ddgan": 600}
"""Where a step takes long, or much is to be learnt."""


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", recipes.names())
def test_a_short_run_on_digits_covers_some_of_them(name: str, tmp_path: Path) -> None:
    trained = train(recipe=name, steps=STEPS.get(name, 1500), out=str(tmp_path), progress="none", threads=1)
    report = evaluate(trained.generator)
    assert report.figure("modes").value >= 8
    assert report.figure("coverage").value > 0.15
