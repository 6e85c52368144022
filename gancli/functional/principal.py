"""Principal axes of samples."""

from torch import Tensor
from torch.linalg import eigh


def principal_axes(values: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The mean ``(d,)`` of values ``(n, d)``, and their axes of most variance, ``count`` or d of them.

    The axes are orthonormal, ``(d, count)``; last come the standard deviations along them, ``(count,)``.
    """
    mean = values.mean(0)
    variances, axes = eigh((values - mean).T @ (values - mean) / max(1, len(values) - 1))
    return mean, axes.flip(1)[:, :count], variances.clamp(min=0).sqrt().flip(0)[:count]
