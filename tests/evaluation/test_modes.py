"""Mode counts against mixtures whose answers are known."""

import math

import pytest
import torch
from torch import nn

from gancli import data
from gancli.errors import UsageError
from gancli.evaluation import Extractor
from gancli.evaluation.extractors.fixed import per_channel
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


@pytest.mark.parametrize("name", ["ring", "grid"])
def test_the_divergence_of_perfect_points_is_on_average_its_floor(name: str) -> None:
    """2N times it is chi-squared with K - 1 degrees of freedom."""
    dataset = data.load(name)
    assert dataset.mixture
    centres, n = torch.tensor(dataset.mixture.centres), 2500
    sets = dataset.train.images.flatten(1).mul(dataset.mixture.scale).split(n)
    found = torch.tensor([count_modes(points, centres, dataset.mixture.sigma).reverse_kl for points in sets])
    freedom = len(centres) - 1
    assert len(found) == 40
    assert found.mean().item() == pytest.approx(freedom / (2 * n), rel=4 * math.sqrt(2 / freedom / 40))


def test_the_report_has_the_real_points_beside_it() -> None:
    evaluator = MixtureEvaluator("square", CENTRES, 0.1, CENTRES.repeat(10, 1), "f")
    report = evaluator.evaluate(torch.zeros(40, 2, 1, 1))
    assert report.figure("modes").value == 1
    assert report.figure("modes_square").baseline == 4
    assert report.figure("reverse_kl").better == "lower"
    with pytest.raises(UsageError, match="no metric 'fd'"):
        evaluator.evaluate(torch.zeros(4, 2), ["fd"])


def test_divergence_is_the_textbooks() -> None:
    p, q = torch.tensor([0.5, 0.5, 0.0]).double(), torch.tensor([0.25, 0.25, 0.5]).double()
    assert divergence(p, q) == pytest.approx(math.log(2))
    assert divergence(q, p) == math.inf


def test_classes_are_counted_and_compared_with_uniform_and_with_the_real_shares() -> None:
    eye = torch.eye(3)
    real = eye[[0, 0, 1, 2]]
    found = count_classes(eye[[0, 0, 0, 1]], real)
    assert found.modes == 2
    assert found.class_kl == pytest.approx(0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.25))
    assert found.reverse_kl == pytest.approx(0.75 * math.log(0.75 * 3) + 0.25 * math.log(0.25 * 3))
    assert count_classes(real, eye[[0, 0, 1, 1]]).class_kl == math.inf


MNIST = (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)


@pytest.mark.parametrize(("digits", "floor"), [((1,) * 10, 0.0192), (MNIST, 0.0238)])
def test_perfect_draws_of_a_thousand_modes_score_the_floor(digits: tuple[int, ...], floor: float) -> None:
    """The figures of 26,000 images that papers could reach at best, of digits as frequent as each other or as MNIST's:
    1,000 modes, and three times a digit's divergence beside what chance adds."""
    drawn = torch.multinomial(torch.tensor(digits).float(), 3 * 26000, True, generator=torch.Generator().manual_seed(0))
    triples = (drawn.view(-1, 3) * torch.tensor([100, 10, 1])).sum(1)
    logits = torch.nn.functional.one_hot(triples, 1000)
    found = count_classes(logits, logits)
    assert (found.modes, found.class_kl) == (1000, 0)
    assert found.reverse_kl == pytest.approx(floor, abs=3 * math.sqrt(2 * 999) / 2 / 26000)


class _Brightest(nn.Module):
    """Sees the class 0 to 9 in a grey image's mean."""

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        means = (images.mean((1, 2, 3)) + 1) * 4.5
        return means[:, None], -(means[:, None] - torch.arange(10)).square()


def test_channels_are_classified_one_by_one() -> None:
    triples = torch.tensor([[0, 0, 0], [1, 2, 3], [9, 0, 4], [9, 9, 9]])
    images = (triples / 4.5 - 1)[:, :, None, None].expand(4, 3, 2, 2)
    features, logits = per_channel(Extractor("grey", _Brightest(), 0.9)).network(images)
    assert torch.allclose(features, triples.float())
    assert logits.argmax(1).tolist() == [0, 123, 904, 999]
    alone = (-(1.0 * triples[1][:, None] - torch.arange(10)).square()).softmax(1)
    assert logits[1].softmax(0)[123].item() == pytest.approx((alone[0, 1] * alone[1, 2] * alone[2, 3]).item())
