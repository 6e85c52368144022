"""PSNR and SSIM against closed forms and a reference that loops over windows."""

import math

import numpy as np
import pytest
import torch

from gancli.evaluation import paired


def by_hand(x: np.ndarray, y: np.ndarray, side: int) -> float:
    """SSIM of two grey images: eq. 13 of Wang 2004 at each place of the window, one after the other."""
    offsets = np.arange(side) - side // 2
    weights = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    weights /= weights.sum()
    places = []
    for top in range(x.shape[0] - side + 1):
        for left in range(x.shape[1] - side + 1):
            a, b = (each[top : top + side, left : left + side].astype(float) for each in (x, y))
            mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
            variances = [(weights * (each - mean) ** 2).sum() for each, mean in ((a, mean_a), (b, mean_b))]
            covariance = (weights * (a - mean_a) * (b - mean_b)).sum()
            c1, c2 = 2.55**2, 7.65**2
            above = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
            places.append(above / ((mean_a**2 + mean_b**2 + c1) * (sum(variances) + c2)))
    return float(np.mean(places))


@pytest.mark.parametrize(("height", "width", "side"), [(14, 13, 11), (8, 8, 7), (5, 20, 5)])
def test_ssim_is_the_mean_over_windows_and_channels(height: int, width: int, side: int) -> None:
    rng = np.random.default_rng(0)
    x, y = (rng.integers(0, 256, (2, 3, height, width)).astype(np.uint8) for _ in range(2))
    y = (0.7 * x + 0.3 * y).astype(np.uint8)
    wanted = [np.mean([by_hand(*pair, side) for pair in zip(*each, strict=True)]) for each in zip(x, y, strict=True)]
    assert paired.ssim(torch.from_numpy(x), torch.from_numpy(y)).tolist() == pytest.approx(wanted, rel=1e-10)


def test_ssim_of_flat_images_is_that_of_their_brightness() -> None:
    black, white = torch.zeros(1, 1, 16, 16, dtype=torch.uint8), torch.full((1, 1, 16, 16), 255, dtype=torch.uint8)
    assert paired.ssim(black, white).item() == pytest.approx(0.01**2 / (1 + 0.01**2), rel=1e-9)
    assert paired.ssim(white, white).item() == pytest.approx(1, abs=1e-12)


def test_psnr_is_that_of_the_mean_squared_error_in_bytes() -> None:
    images, others = torch.tensor([[10, 20]]).byte().view(1, 1, 1, 2), torch.tensor([[15, 8]]).byte().view(1, 1, 1, 2)
    error = paired.squared_errors(images, others)
    assert error.dtype == torch.float64 and error.tolist() == [(25 + 144) / 2], "bytes do not wrap around"
    assert paired.psnr(error.item()) == pytest.approx(20 * math.log10(255) - 10 * math.log10(84.5), rel=1e-12)
    assert paired.psnr(0.0) == math.inf
