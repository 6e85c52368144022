"""Gaussian diffusion that keeps the variance: x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) noise.

``alpha_bar`` falls from 1 (the image) towards 0 (noise). Images are float ``(N, C, H, W)``; an ``alpha_bar`` for each
of them is ``(N, 1, 1, 1)``.
"""

import math

from torch import Tensor


def continuous_schedule(steps: int, beta_min: float = 0.1, beta_max: float = 20.0) -> list[float]:
    """The ``steps + 1`` values of alpha_bar from t = 0 to t = ``steps``, of the variance-preserving process.

    Xiao 2022 (arXiv:2112.07804), appendix A, after Song 2021 (arXiv:2011.13456): the process in continuous time has
    the rate beta_min + (beta_max - beta_min) t / T, so few steps are as far from each other as many would be together.

    Example:
        >>> [round(value, 4) for value in continuous_schedule(2)]
        [1.0, 0.0791, 0.0]
    """
    times = (step / steps for step in range(steps + 1))
    return [math.exp(-beta_min * time - 0.5 * (beta_max - beta_min) * time**2) for time in times]


def diffused(images: Tensor, alpha_bar: Tensor, noise: Tensor) -> Tensor:
    """A draw from q(x_t | x_0), or from q(x_t | x_s) with ``alpha_bar`` = alpha_bar_t / alpha_bar_s.

    Example:
        >>> import torch
        >>> diffused(torch.ones(1), torch.tensor(0.64), torch.full((1,), 0.5)).item()  # .8 * 1 + .6 * .5
        1.100000023841858
    """
    return alpha_bar.sqrt() * images + (1 - alpha_bar).sqrt() * noise


def posterior(start: Tensor, after: Tensor, alpha_bar: Tensor, alpha_bar_after: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of q(x_{t-1} | x_t, x_0): Ho 2020 (arXiv:2006.11239), eq. 7.

    ``start`` is x_0, ``after`` is x_t; ``alpha_bar`` is that of t - 1, ``alpha_bar_after`` that of t. At t = 1 the
    mean is x_0 and the variance 0.

    Example:
        >>> import torch
        >>> start, after = torch.tensor(3.0), torch.tensor(9.0)
        >>> posterior(start, after, torch.tensor(1.0), torch.tensor(0.5))
        (tensor(3.), tensor(0.))
    """
    alpha = alpha_bar_after / alpha_bar
    rest, rest_after = 1 - alpha_bar, 1 - alpha_bar_after
    of_start, of_after = alpha_bar.sqrt() * (1 - alpha) / rest_after, alpha.sqrt() * rest / rest_after
    return of_start * start + of_after * after, rest / rest_after * (1 - alpha)
