"""``ring`` and ``grid``: points in the plane with known modes. Papers use them to count the modes a GAN drops."""

import math
from pathlib import Path

import torch
from torch import Tensor

from gancli.data.dataset import DataSet, Mixture, Split
from gancli.randomness import generator

TRAIN, HELDOUT = 100_000, 10_000
MARGIN = 5.0
"""Standard deviations between the outermost mode and the edge of [-1, 1]."""


def ring(root: Path) -> DataSet:
    """8 Gaussians on the unit circle, as in VEEGAN (arXiv:1705.07761).

    Their standard deviation is 0.01. ``root`` is unused.
    """
    angles = torch.arange(8) * (2 * math.pi / 8)
    return _sampled("ring", torch.stack([angles.cos(), angles.sin()], 1), 0.01)


def grid(root: Path) -> DataSet:
    """25 Gaussians on the grid {-4, -2, 0, 2, 4}^2, as in PacGAN (arXiv:1712.04086).

    Their standard deviation is 0.05. ``root`` is unused.
    """
    ticks = torch.arange(-4.0, 5.0, 2.0)
    return _sampled("grid", torch.cartesian_prod(ticks, ticks), 0.05)


def _sampled(name: str, centres: Tensor, sigma: float) -> DataSet:
    scale = (centres.abs().max() + MARGIN * sigma).item()
    mixture = Mixture(tuple((x, y) for x, y in centres.tolist()), sigma, scale)
    parts = []
    for part, count in (("train", TRAIN), ("heldout", HELDOUT)):
        drawn = generator(0, f"{name}-{part}")
        modes = torch.randint(len(centres), (count,), generator=drawn)
        points = centres[modes] + sigma * torch.randn(count, 2, generator=drawn)
        parts.append(Split((points / scale)[:, :, None, None].contiguous(), modes))
    classes = tuple(f"mode {number}" for number in range(len(centres)))
    return DataSet(name, parts[0], parts[1], classes, mixture)
