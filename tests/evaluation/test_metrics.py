"""Metrics against closed forms, other libraries and sets whose answer is known."""

import contextlib
import io
from collections.abc import Callable

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from gancli.errors import UsageError
from gancli.evaluation.metrics.frechet import frechet_distance
from gancli.evaluation.metrics.kernel import kernel_distance
from gancli.evaluation.metrics.neighbourhood import neighbourhood


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
    assert kernel_distance(a, b, seed=4) != first
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
