"""Compare images with their reconstructions, pair by pair, in float64."""

import math

import torch
from torch import Tensor
from torch.nn.functional import conv2d

RANGE = 255.0
"""Largest value of a pixel."""
WINDOW, SIGMA = 11, 1.5
"""Side of the Gaussian window of SSIM, and its standard deviation in pixels."""
K1, K2 = 0.01, 0.03
"""SSIM's constants, as shares of the range."""


def squared_errors(images: Tensor, others: Tensor) -> Tensor:
    """The mean squared difference of each pair of images ``(N, C, H, W)``, float64 ``(N,)``.

    Example:
        >>> squared_errors(torch.zeros(1, 1, 1, 2), torch.tensor([[[[3.0, 1.0]]]])).item()
        5.0
    """
    return (images.double() - others.double()).square().mean((1, 2, 3))


def psnr(squared_error: float) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(255^2 / error); infinite without an error.

    Example:
        >>> psnr(255.0**2 / 1000)  # a thousandth of the largest possible error
        30.0
    """
    return 10 * math.log10(RANGE**2 / squared_error) if squared_error else math.inf


def ssim(images: Tensor, others: Tensor) -> Tensor:
    """Structural similarity of each pair of images ``(N, C, H, W)`` in [0, 255], float64 ``(N,)``, at most 1.

    Wang et al. 2004, Image Quality Assessment: from Error Visibility to Structural Similarity, eq. 13: the mean over
    channels and over all places of an 11 x 11 window within the image. Smaller images have the largest odd window that
    fits.

    Example:
        >>> ssim(torch.zeros(1, 1, 11, 11), torch.zeros(1, 1, 11, 11)).item()
        1.0
    """
    x, y = images.double().flatten(0, 1)[:, None], others.double().flatten(0, 1)[:, None]
    window = _window(*images.shape[2:]).to(x.device)
    mean_x, mean_y, square_x, square_y, product = (conv2d(each, window) for each in (x, y, x * x, y * y, x * y))
    variance_x, variance_y, covariance = square_x - mean_x**2, square_y - mean_y**2, product - mean_x * mean_y
    c1, c2 = (K1 * RANGE) ** 2, (K2 * RANGE) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return (luminance * structure).mean((1, 2, 3)).unflatten(0, images.shape[:2]).mean(1)


def _window(height: int, width: int) -> Tensor:
    """The Gaussian window, float64 ``(1, 1, side, side)``, whose weights sum to 1."""
    side = min(WINDOW, height, width)
    side -= 1 - side % 2
    places = torch.arange(side, dtype=torch.float64) - side // 2
    weights = (-(places**2) / (2 * SIGMA**2)).exp()
    weights = weights / weights.sum()
    return torch.outer(weights, weights)[None, None]
