"""Mode counts against mixtures whose answers are known."""

import math

import pytest
import torch

from gancli import data
from gancli.errors import UsageError
from gancli.evaluation.modes import MixtureEvaluator, count_classes, count_modes, divergence

CENTRES = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [4.0, 4.0]])


def test_points_on_one_centre_are_one_mode_of_full_quality() -> None:
    found = count_modes(torch.zeros(100, 2), CENTRES, 0.1)
    assert (found.modes, found.high_quality) == (1, 1.0)
    assert found.reverse_kl == pytest.approx(math.log(4))


def test_quality_ends_at_three_deviations() -> None:
    points = torch.tensor([[0.299, 0.0], [0.301, 0.0], [4.0, 0.2]])
    found = count_modes(points, CENTRES, 0.1)
    assert (found.modes, found.high_quality) == (2, pytest.approx(2 / 3))


@pytest.mark.parametrize(("name", "modes", "floor"), [("ring", 8, 0.0014), ("grid", 25, 0.0048)])
def test_the_mixtures_themselves_score_what_theory_says(name: str, modes: int, floor: float) -> None:
    dataset = data.load(name)
    assert dataset.mixture
    points = dataset.heldout.images[:2500].flatten(1) * dataset.mixture.scale
    found = count_modes(points, torch.tensor(dataset.mixture.centres), dataset.mixture.sigma)
    assert found.modes == modes
    assert found.high_quality == pytest.approx(1 - math.exp(-4.5), abs=0.006)
    assert found.reverse_kl == pytest.approx(floor, rel=0.9)
    assert dataset.train.images.abs().max() < 1.1
    assert dataset.fingerprint == data.load(name).fingerprint


def test_the_report_has_the_real_points_beside_it() -> None:
    judge = MixtureEvaluator("square", CENTRES, 0.1, CENTRES.repeat(10, 1), "f")
    report = judge.evaluate(torch.zeros(40, 2, 1, 1))
    assert report.figure("modes").value == 1
    assert report.figure("modes_square").baseline == 4
    assert report.figure("reverse_kl").better == "lower"
    with pytest.raises(UsageError, match="no metric 'fd'"):
        judge.evaluate(torch.zeros(4, 2), ["fd"])


def test_divergence_is_the_textbooks() -> None:
    p, q = torch.tensor([0.5, 0.5, 0.0]).double(), torch.tensor([0.25, 0.25, 0.5]).double()
    assert divergence(p, q) == pytest.approx(math.log(2))
    assert divergence(q, p) == math.inf


def test_classes_are_counted_and_compared_with_the_real_shares() -> None:
    eye = torch.eye(3)
    real = eye[[0, 0, 1, 2]]
    modes, balance = count_classes(eye[[0, 0, 0, 1]], real)
    assert modes == 2
    assert balance == pytest.approx(0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.25))
