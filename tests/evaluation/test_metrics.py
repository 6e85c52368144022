"""Metrics against closed forms, other libraries and sets whose answer is known."""

import contextlib
import io
from collections.abc import Callable

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
from torch import Tensor

from gancli.errors import UsageError
from gancli.evaluation import Features, ImageSet, distances
from gancli.evaluation.metrics import Sides, memorisation
from gancli.evaluation.metrics.copies import copies, moved_ratios
from gancli.evaluation.metrics.diversity import mean_vendi_score, vendi_score
from gancli.evaluation.metrics.frechet import frechet_distance, frechet_distance_infinity
from gancli.evaluation.metrics.inception_score import inception_score
from gancli.evaluation.metrics.kernel import kernel_distance
from gancli.evaluation.metrics.neighbourhood import neighbourhood
from gancli.evaluation.metrics.sliced_wasserstein import sliced_wasserstein
from gancli.evaluation.metrics.smoothness import path_length
from gancli.evaluation.metrics.tone import tone_distance


def normal(count: int, dimensions: int, seed: int, shift: float = 0.0, scale: float = 1.0) -> Tensor:
    drawn = torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return drawn * scale + shift


def test_frechet_distance_agrees_with_scipys_square_root() -> None:
    mixing = normal(8, 8, 9)
    a, b = normal(500, 8, 0, 0.3) @ mixing, normal(400, 8, 1, scale=1.5)
    means = [x.mean(0).numpy() for x in (a, b)]
    covariances = [np.cov(x.numpy(), rowvar=False) for x in (a, b)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1])
    root = root[0] if isinstance(root, tuple) else root
    expected = np.square(means[0] - means[1]).sum() + np.trace(covariances[0] + covariances[1] - 2 * root.real)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


def test_frechet_distance_of_known_gaussians() -> None:
    a, b = normal(20000, 2, 0), normal(20000, 2, 1, shift=2.0, scale=3.0)
    assert frechet_distance(a, b) == pytest.approx(2 * 2**2 + 2 * (3 - 1) ** 2, rel=0.03)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_stands_singular_covariances() -> None:
    a, b = normal(10, 64, 0), normal(10, 64, 1)
    assert np.isfinite(frechet_distance(a, b))
    assert frechet_distance(torch.zeros(5, 3, dtype=torch.float64), torch.ones(5, 3, dtype=torch.float64)) == 3


def test_kernel_distance_is_the_unbiased_formula() -> None:
    a, b = normal(60, 5, 0), normal(60, 5, 1, 0.5)

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return (x @ y.T / 5 + 1) ** 3

    within = [(kernel(x, x).sum() - kernel(x, x).diagonal().sum()) / (60 * 59) for x in (a, b)]
    expected = within[0] + within[1] - 2 * kernel(a, b).mean()
    assert kernel_distance(a, b) == pytest.approx(expected.item(), rel=1e-6)


def test_kernel_distance_depends_on_its_seed_alone_and_is_negative_for_equal_sets() -> None:
    a, b = normal(1500, 4, 0), normal(1500, 4, 1)
    torch.manual_seed(1)
    first = kernel_distance(a, b, seed=3)
    assert abs(first) < 0.01
    torch.manual_seed(2)
    assert kernel_distance(a, b, seed=3) == first
    assert kernel_distance(a[:50], a[:50]) < 0


@pytest.mark.parametrize(("n", "m", "d"), [(50, 60, 3), (200, 150, 16), (1100, 1030, 2)])
def test_neighbourhood_is_exactly_what_prdc_says(n: int, m: int, d: int) -> None:
    import prdc

    real, fake = normal(n, d, 0), normal(m, d, 1, 0.4, 0.8)
    with contextlib.redirect_stdout(io.StringIO()):
        k3, k5 = (prdc.compute_prdc(real.numpy(), fake.numpy(), nearest_k=k) for k in (3, 5))
    ours = neighbourhood(fake, real)
    assert (ours.density, ours.coverage) == (pytest.approx(k5["density"]), pytest.approx(k5["coverage"]))
    assert (ours.precision, ours.recall) == (pytest.approx(k3["precision"]), pytest.approx(k3["recall"]))


def test_precision_and_recall_agree_with_torch_fidelity() -> None:
    from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

    fake, real = normal(300, 4, 0, 0.7), normal(250, 4, 1)
    theirs = prc_features_to_metric(
        fake, real, prc_neighborhood=3, prc_batch_size=100, save_cpu_ram=False, verbose=False
    )
    ours = neighbourhood(fake, real)
    assert ours.precision == pytest.approx(theirs[KEY_METRIC_PRECISION])
    assert ours.recall == pytest.approx(theirs[KEY_METRIC_RECALL])


def test_known_manifolds() -> None:
    a = normal(200, 8, 0)
    same = neighbourhood(a, a)
    assert (same.precision, same.recall, same.density, same.coverage) == (1, 1, 1, 1)
    apart = neighbourhood(a + 1000, a)
    assert (apart.precision, apart.recall, apart.density, apart.coverage) == (0, 0, 0, 0)
    one = neighbourhood(a[:1].expand(200, 8), a)
    assert one.precision == 1
    assert one.recall == pytest.approx(1 / 200)
    assert one.coverage < 0.1


def test_coverage_of_equal_distributions_is_the_expectation_of_the_paper() -> None:
    n, k = 1000, 5
    expected = 1 - np.prod([(n - i) / (2 * n - i) for i in range(k)])
    found = np.mean([neighbourhood(normal(n, 16, s), normal(n, 16, 100 + s)).coverage for s in range(3)])
    assert found == pytest.approx(expected, abs=0.012)


def test_dropped_modes_lower_coverage_and_recall_but_not_precision() -> None:
    centres = torch.tensor([[0.0, 0.0], [50.0, 0.0]], dtype=torch.float64)
    real = torch.cat([normal(300, 2, 0) + centres[0], normal(300, 2, 1) + centres[1]])
    half = neighbourhood(normal(600, 2, 2) + centres[0], real)
    assert half.precision > 0.9
    assert half.coverage < 0.52
    assert half.recall < 0.52


@pytest.mark.parametrize(("metric", "least"), [(frechet_distance, 2), (kernel_distance, 2), (neighbourhood, 6)])
def test_too_few_images_are_refused(metric: Callable[[Tensor, Tensor], object], least: int) -> None:
    few = normal(least - 1, 3, 0)
    with pytest.raises(UsageError, match=f"it needs {least}"):
        metric(few, normal(50, 3, 1))


def test_the_limit_of_the_distance_has_less_bias_than_the_distance() -> None:
    dimensions, shift = 32, 0.05
    truth = dimensions * shift**2
    fake, real = normal(2000, dimensions, 0, shift), normal(20000, dimensions, 1)
    limits = [frechet_distance_infinity(fake, real, seed) for seed in range(3)]
    assert frechet_distance(fake, real) > truth + 0.12
    assert np.mean(limits) == pytest.approx(truth, abs=0.06)


@pytest.mark.parametrize(("n", "m"), [(500, 400), (33, 32), (32, 33), (20, 300), (300, 20), (12, 15)])
@pytest.mark.parametrize("rank", [32, 3])
def test_frechet_distance_is_torch_fidelitys_for_any_rank(n: int, m: int, rank: int) -> None:
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

    fake, real = normal(n, rank, 0, 0.3) @ normal(rank, 32, 5), normal(m, 32, 1)
    real[:, 7] = 0
    theirs = fid_statistics_to_metric(*map(fid_features_to_statistics, (fake, real)), verbose=False)[KEY_METRIC_FID]
    assert frechet_distance(fake, real) == pytest.approx(theirs, rel=1e-6)


def test_frechet_distance_of_exact_moments_is_the_closed_form() -> None:
    def with_moments(count: int, seed: int, mean: Tensor, deviations: Tensor) -> Tensor:
        centred = normal(count, 6, seed) - normal(count, 6, seed).mean(0)
        white = torch.linalg.solve_triangular(torch.linalg.cholesky(centred.T.cov()), centred.T, upper=False).T
        return white * deviations + mean

    means, deviations = normal(2, 6, 2), normal(2, 6, 3).abs()
    expected = (means[0] - means[1]).square().sum() + (deviations[0] - deviations[1]).square().sum()
    sides = (with_moments(50 + seed, seed, means[seed], deviations[seed]) for seed in (0, 1))
    assert frechet_distance(*sides) == pytest.approx(expected.item(), rel=1e-10)


def test_frechet_distance_of_one_feature() -> None:
    a, b = normal(50, 1, 0), normal(60, 1, 1, 1.0, 2.0)
    expected = (a.mean() - b.mean()) ** 2 + (a.std() - b.std()) ** 2
    assert frechet_distance(a, b) == pytest.approx(expected.item(), rel=1e-9)


def test_inception_score_has_its_textbook_values() -> None:
    sure = 50 * torch.eye(10, dtype=torch.float64).repeat(30, 1)
    assert inception_score(sure) == pytest.approx(10)
    assert inception_score(sure[:1].expand(50, 10)) == pytest.approx(1)
    assert inception_score(torch.zeros(50, 10)) == pytest.approx(1)
    assert inception_score(sure[torch.arange(300) % 10 < 5]) == pytest.approx(5)


@pytest.mark.parametrize(("n", "d"), [(40, 8), (8, 40)])
def test_vendi_score_is_the_entropy_of_the_similarities(n: int, d: int) -> None:
    features = normal(n, d, 0)
    unit = (features / features.norm(dim=1, keepdim=True)).numpy()
    eigenvalues = np.linalg.eigvalsh(unit @ unit.T / n)
    eigenvalues = eigenvalues[eigenvalues > 1e-12]
    assert vendi_score(features) == pytest.approx(np.exp(-(eigenvalues * np.log(eigenvalues)).sum()), rel=1e-9)


def test_vendi_score_counts_kinds() -> None:
    assert vendi_score(torch.eye(7).repeat(5, 1)) == pytest.approx(7)
    assert vendi_score(normal(1, 6, 0).expand(50, 6)) == pytest.approx(1)
    kinds = torch.eye(6).repeat(4, 1)
    assert mean_vendi_score(kinds, torch.arange(24) % 6 // 3) == pytest.approx(3)


def test_sliced_wasserstein_is_zero_for_equal_sets_and_grows_with_noise() -> None:
    drawn = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.rand(300, 1, 4, 4, generator=drawn), (32, 32), mode="bilinear")
    images = (255 * smooth).to(torch.uint8)
    assert sliced_wasserstein(images, images) == 0
    same = sliced_wasserstein(images[:150], images[150:])
    found = []
    for sigma in (5, 20, 60):
        noise = sigma * torch.randn(150, 1, 32, 32, generator=drawn)
        found.append(sliced_wasserstein((images[:150] + noise).clamp(0, 255).to(torch.uint8), images[150:]))
    assert same < found[0] < found[1] < found[2]
    assert found[2] > 4 * same


def test_sliced_wasserstein_of_two_constants_per_pixel_is_their_distance() -> None:
    """Patches are normalised, so that images that differ in brightness alone are alike."""
    pattern = torch.randint(0, 100, (40, 1, 16, 16), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    assert sliced_wasserstein(pattern, pattern + 100) == pytest.approx(0, abs=1e-2)
    with pytest.raises(UsageError, match="7x7"):
        sliced_wasserstein(pattern[:, :, :6], pattern[:, :, :6])


def test_memorisation_of_samples_and_of_copies() -> None:
    train, heldout, fresh = (normal(n, 16, seed) for n, seed in ((4000, 0), (1500, 1), (1500, 2)))
    half = torch.cat([train[:750], fresh[:750]])
    found = []
    for fake in (fresh, half, train[:1500]):
        sides = Sides(*(ImageSet("", features=Features(x, None, "x", "")) for x in (fake, heldout, train)), 1.0, 0)
        found.append((memorisation._copying(sides)["c_t"], memorisation._authentic(sides)["authpct"]))
    (score, authentic), (half_score, half_authentic), (all_score, all_authentic) = found
    assert abs(score) < 3
    assert 40 < authentic < 75
    assert half_score < -10
    assert half_authentic == pytest.approx(authentic / 2, abs=4)
    assert all_score < half_score
    assert all_authentic == 0


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


def test_tone_is_how_many_levels_pixels_are_off() -> None:
    images = torch.randint(0, 200, (20, 3, 9, 9), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    assert tone_distance(images, images.flip(0)) == 0
    assert tone_distance(images + 30, images) == pytest.approx(30)
    one = images.clone()
    one[:, 1] += 12
    assert tone_distance(one, images) == pytest.approx(4)
    a, b = images.flatten().double().numpy(), (images // 2).flatten().double().numpy()
    found = tone_distance(images.view(20, 1, 27, 9), (images // 2).view(20, 1, 27, 9))
    assert found == pytest.approx(scipy.stats.wasserstein_distance(a, b))


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


def test_path_length_of_a_linear_map_is_its_mean_squared_slope() -> None:
    starts = normal(500, 4, 0)
    ends = starts + 1e-3 * torch.tensor([3.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    assert path_length(starts, ends, scale=2.0) == pytest.approx(3**2 / 4 / 2**2)


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
    monkeypatch.setattr(distances, "MOST_NEAR", 0)
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
        monkeypatch.setattr(distances, "MOST_NEAR", share)
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
