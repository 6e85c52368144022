"""Copies and C_T, AuthPct against brute force, scipy and sets whose answer is known."""

import numpy as np
import pytest
import scipy.stats
import torch
from gaussians import normal
from torch import Tensor

from gancli.evaluation import Features, ImageSet
from gancli.evaluation.metrics import Sides, memorisation
from gancli.evaluation.metrics.copies import copies, moved_ratios


def sides_of(generated: Tensor, heldout: Tensor, train: Tensor) -> Sides:
    return Sides(*(ImageSet("", features=Features(x, None, "x", "")) for x in (generated, heldout, train)), 1.0, 0)


@pytest.mark.parametrize("dimensions", [4, 16])
def test_memorisation_of_samples_and_of_copies(dimensions: int) -> None:
    """Copies are nearer than all held-out points: by Mann and Whitney's statistic -sqrt(3 n m / (n + m + 1)), with a
    third of 2,000 on each side in a cell. Of half of them copies, half of that; and no copy is authentic."""
    train, heldout, fresh = (normal(n, dimensions, seed) for n, seed in ((4000, 0), (2000, 1), (2000, 2)))
    half = torch.cat([train[:1000], fresh[:1000]])
    found = []
    for fake in (fresh, half, train[:2000]):
        sides = sides_of(fake, heldout, train)
        found.append((memorisation._copying(sides)["c_t"], memorisation._authentic(sides)["authpct"]))
    (score, authentic), (half_score, half_authentic), (all_score, all_authentic) = found
    assert abs(score) < 3
    assert 40 < authentic < 75
    assert all_score == pytest.approx(-((3 * 2000**2 / 3 / (2 * 2000 + 3)) ** 0.5), abs=0.3)
    assert half_score == pytest.approx(all_score / 2, abs=1.5)
    assert half_authentic == pytest.approx(authentic / 2, abs=3)
    assert all_authentic == 0


def test_authentic_are_those_that_are_farther_than_their_nearest_is_from_its_own() -> None:
    train, fresh = normal(90, 5, 0), normal(60, 5, 1)
    fake = torch.cat([fresh, train[:20], train[20:40] + 0.2])
    ours, own = (np.linalg.norm(a.numpy()[:, None] - train.numpy()[None], axis=2) for a in (fake, train))
    own += np.diag(np.full(90, np.inf))
    authentic = [row.min() > own[row.argmin()].min() for row in ours]
    assert 0.1 < np.mean(authentic) < 0.5
    assert memorisation._authentic(sides_of(fake, fresh, train))["authpct"] == pytest.approx(100 * np.mean(authentic))


def test_copies_are_found_whatever_their_brightness_and_if_moved() -> None:
    drawn = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.rand(500, 1, 5, 5, generator=drawn), (20, 20), mode="bicubic")
    images = (20 + 200 * smooth.clamp(0, 1)).to(torch.uint8)
    train, unrelated, fresh = images[:200], images[200:350], images[350:]
    darker = (train.float() * 0.7 + 5).to(torch.uint8)
    sets = [ImageSet("", each, features=Features(torch.zeros(len(each), 1), None, "", "")) for each in images.split(50)]
    known = ImageSet("", train, features=Features(torch.zeros(200, 1), None, "", ""))
    apart = [each.nearest_in(known, "pixels")[0] for each in sets[4:]]
    assert copies(torch.cat(apart[3:]), torch.cat(apart[:3])) < 0.1
    one = ImageSet("", darker, features=Features(torch.zeros(200, 1), None, "", "")).nearest_in(known, "pixels")[0]
    assert copies(one, torch.cat(apart[:3])) == 1
    least = moved_ratios(unrelated, train).quantile(0.01)
    for place in (train.roll((1, -1), (2, 3)), train.flip(3)):
        assert (moved_ratios(place, train) < least).all()
    assert (moved_ratios(fresh, train) < least).double().mean() < 0.1


def test_the_copying_score_is_scipys_test_and_skips_small_cells() -> None:
    ours, theirs = normal(80, 1, 0).flatten(), normal(90, 1, 1, 0.2).flatten()
    cells = torch.zeros(80), torch.zeros(90)
    found = scipy.stats.mannwhitneyu(ours, theirs, use_continuity=False, method="asymptotic")
    expected = (found.statistic - 80 * 90 / 2) / (80 * 90 * 171 / 12) ** 0.5
    assert memorisation.copying_score(ours, theirs, *cells) == pytest.approx(expected)
    few = torch.where(torch.arange(80) < 19, 1.0, 0.0)
    split = torch.where(torch.arange(90) < 45, 1.0, 0.0)
    alone = memorisation.copying_score(ours[19:], theirs[45:], torch.zeros(61), torch.zeros(45))
    assert memorisation.copying_score(ours, theirs, few, split) == pytest.approx(alone)
    assert np.isnan(memorisation.copying_score(ours[:10], theirs, torch.zeros(10), cells[1]))
