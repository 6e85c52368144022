"""Metrics against closed forms, other libraries and sets whose answer is known."""

import contextlib
import io
from collections.abc import Callable

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
from gaussians import normal
from torch import Tensor

from gancli.errors import UsageError
from gancli.evaluation.metrics import kernel
from gancli.evaluation.metrics.diversity import mean_vendi_score, vendi_score
from gancli.evaluation.metrics.frechet import frechet_distance, frechet_distance_infinity
from gancli.evaluation.metrics.inception_score import inception_score
from gancli.evaluation.metrics.kernel import kernel_distance
from gancli.evaluation.metrics.neighbourhood import neighbourhood
from gancli.evaluation.metrics.sliced_wasserstein import sliced_wasserstein
from gancli.evaluation.metrics.smoothness import path_length
from gancli.evaluation.metrics.tone import tone_distance
from gancli.randomness import generator as random_generator


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


@pytest.mark.parametrize(("n", "rel"), [(60, 1e-6), (1500, 0.05)])
def test_kernel_distance_is_the_unbiased_formula(n: int, rel: float) -> None:
    """Of more than a subset holds, up to what is left to chance."""
    a, b = normal(n, 5, 0), normal(n, 5, 1, 0.5)

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return (x @ y.T / 5 + 1) ** 3

    within = [(kernel(x, x).sum() - kernel(x, x).diagonal().sum()) / (n * (n - 1)) for x in (a, b)]
    expected = within[0] + within[1] - 2 * kernel(a, b).mean()
    assert kernel_distance(a, b) == pytest.approx(expected.item(), rel=rel)


def test_kernel_distance_depends_on_its_seed_alone_and_is_negative_for_equal_sets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kernel, "SUBSETS", 5)
    a, b = normal(1500, 4, 0), normal(1500, 4, 1)
    torch.manual_seed(1)
    first = kernel_distance(a, b, seed=3)
    assert abs(first) < 0.03
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


@pytest.mark.parametrize("channels", [1, 3])
def test_sliced_wasserstein_of_images_of_one_patch_is_the_mean_distance_of_their_projections(channels: int) -> None:
    drawn = torch.Generator().manual_seed(0)
    a, b = (torch.randint(0, most, (40, channels, 7, 7), generator=drawn).to(torch.uint8) for most in (256, 120))
    b[:20] = 0
    directions = torch.randn(channels * 49, 128, generator=random_generator(5, "swd-directions", 0)).double()
    projected = []
    for images in (a.double(), b.double()):
        repeated = images.repeat_interleave(64, 0)  # as often as the one patch is taken
        deviations = repeated.std((0, 2, 3), keepdim=True)
        patches = (repeated - repeated.mean((0, 2, 3), keepdim=True)) / deviations
        projected.append(patches.flatten(1) @ (directions / directions.norm(dim=0)))
    expected = np.mean(
        [scipy.stats.wasserstein_distance(*pair) for pair in zip(*(p.T for p in projected), strict=True)]
    )
    assert sliced_wasserstein(a, b, seed=5) == pytest.approx(1000 * expected, rel=1e-5)


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


def test_path_length_of_a_linear_map_is_its_mean_squared_slope() -> None:
    starts = normal(500, 4, 0)
    ends = starts + 1e-3 * torch.tensor([3.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    assert path_length(starts, ends, scale=2.0) == pytest.approx(3**2 / 4 / 2**2)
