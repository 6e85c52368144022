"""Points of a normal distribution."""

import torch
from torch import Tensor


def normal(count: int, dimensions: int, seed: int, shift: float = 0.0, scale: float = 1.0) -> Tensor:
    """float64 ``(count, dimensions)``."""
    drawn = torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return drawn * scale + shift
