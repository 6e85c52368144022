"""Distances of large sets, in blocks and in single precision, against numpy's."""

import numpy as np
import pytest
import torch
from gaussians import normal

from gancli.evaluation import distances
from gancli.evaluation.metrics.neighbourhood import neighbourhood


@pytest.mark.parametrize("exact", [True, False])
def test_distances_in_blocks_are_those_of_numpy(monkeypatch: pytest.MonkeyPatch, exact: bool) -> None:
    monkeypatch.setattr(distances, "BLOCK_BYTES", 8 * 60 * 7)
    monkeypatch.setattr(distances, "EXACT_WORK", 1e12 if exact else 0)
    a, b = normal(50, 6, 0, 1000.0), normal(60, 6, 1, 1000.0)
    a[3] = b[5]
    expected = np.linalg.norm(a.numpy()[:, None] - b.numpy()[None], axis=2)
    found = torch.cat([part for _, part in distances.blocks(a, b)])
    assert len(list(distances.blocks(a, b))) == 8
    assert np.allclose(found, expected, rtol=1e-9, atol=1e-9)
    assert found[3, 5] == 0
    apart, places = distances.nearest(a, b, 2)
    assert np.array_equal(places, expected.argsort(1)[:, :2])
    assert np.allclose(apart, np.sort(expected, 1)[:, :2])
    own = np.linalg.norm(a.numpy()[:, None] - a.numpy()[None], axis=2)
    assert np.allclose(distances.nearest_others(a, 4), np.sort(own, 1)[:, 1:5])
    assert np.allclose(distances.nearest_others(a, 1, torch.tensor([7, 2])), np.sort(own, 1)[[7, 2], 1:2])


def test_large_sets_are_measured_as_small_ones_are(monkeypatch: pytest.MonkeyPatch) -> None:
    fake, real = normal(300, 12, 0, 0.3), normal(280, 12, 1)
    expected = neighbourhood(fake, real)
    monkeypatch.setattr(distances, "EXACT_WORK", 0)
    monkeypatch.setattr(distances, "BLOCK_BYTES", 8 * 280 * 32)
    assert neighbourhood(fake, real) == expected
    monkeypatch.setattr(distances, "MAX_NEAR", 0)
    assert neighbourhood(fake, real) == expected
    monkeypatch.setitem(distances.ROUNDING, torch.float32, 0.1)
    assert neighbourhood(fake, real) == expected, "bounds that tell nothing cost time alone"
    one = neighbourhood(real[:1].expand(100, 12), real)
    assert (one.precision, one.recall) == (1, pytest.approx(1 / 280))


@pytest.mark.parametrize("case", ["far clusters", "outlier", "huge", "tiny", "grid"])
def test_products_hide_nothing_whatever_the_range(monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    """Sets whose distances a product in single precision, or in double, would round away or overflow."""
    monkeypatch.setattr(distances, "EXACT_WORK", 0)
    a, b = normal(90, 16, 0), normal(70, 16, 1)
    if case == "grid":
        a, b = a.sign(), b.sign()
    elif case in ("huge", "tiny"):
        a, b = (each * {"huge": 1e30, "tiny": 1e-30}[case] for each in (a, b))
    elif case == "outlier":
        a[0], b[0] = 1e6 * a[0], 1e6 * b[0]
    else:
        a, b = (each + 1e5 * (torch.arange(len(each)) % 2)[:, None] for each in (a, b))
    expected = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
    apart, places = distances.nearest(a, b, 3)
    torch.testing.assert_close(apart, expected.topk(3, largest=False).values, rtol=1e-12, atol=0)
    torch.testing.assert_close(apart, expected.gather(1, places), rtol=1e-12, atol=0)
    limits = expected.median(1).values * (1 + 1e-9)
    for share in (0, 1):
        monkeypatch.setattr(distances, "MAX_NEAR", share)
        found = [*distances.pairs_within(a, b, limits, torch.zeros(70, dtype=torch.float64))]
        rows, columns, near = (torch.cat([getattr(each, n) for each in found]) for n in ("rows", "columns", "apart"))
        within = expected <= limits[:, None]
        assert torch.equal(torch.stack([rows, columns], 1), within.nonzero())
        torch.testing.assert_close(near, expected[within], rtol=1e-9, atol=0)


def test_single_precision_hides_no_neighbour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many at nearly the same distance, far from the origin, and twins among them."""
    monkeypatch.setattr(distances, "EXACT_WORK", 0)
    directions = torch.nn.functional.normalize(normal(80, 10, 0), dim=1)
    around = 3e4 + directions * (1 + 1e-9 * torch.arange(80)[:, None])
    around[40] = around[3]
    centre = torch.full((1, 10), 3e4, dtype=torch.float64)
    apart, _ = distances.nearest(centre, around, 4)
    expected = np.sort(np.linalg.norm(around.numpy() - centre.numpy(), axis=1))[:4]
    assert np.allclose(apart[0], expected, rtol=1e-12, atol=0)
    own = np.linalg.norm(around.numpy()[:, None] - around.numpy()[None], axis=2) + np.diag(np.full(80, np.inf))
    assert np.allclose(distances.nearest_others(around, 3), np.sort(own, 1)[:, :3], rtol=1e-9, atol=1e-9)
    assert distances.nearest_others(around[:3], 5).isinf().sum() == 9
