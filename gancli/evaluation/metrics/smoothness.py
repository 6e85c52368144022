"""Perceptual path length: the speed at which features change along a path between latents."""

from torch import Tensor

from gancli.evaluation.metrics.base import Metric, Sides, require

STEP = 1e-3
"""Length epsilon of a step, as a share of the path between two latents."""
PATHS = 1000
"""Number of paths."""
TRIMMED = 0.01
"""Share of paths that is left out at each end."""


def path_length(starts: Tensor, ends: Tensor, scale: float, step: float = STEP) -> float:
    """Perceptual path length: mean squared speed of features along short steps between latents.

    Karras et al. 2019 (arXiv:1812.04948), eq. 2: ``PPL = E |f(G(z(t))) - f(G(z(t + epsilon)))|^2 / epsilon^2``, without
    the lowest and highest 1 %.

    Differs from the paper: f is the evaluation's extractor in place of LPIPS, in units of its features' mean square.

    Args:
        starts: features at z(t) ``(N, d)``.
        ends: features at z(t + epsilon) ``(N, d)``.
        scale: root mean square of real images' features.
        step: epsilon.

    Raises:
        TooFewImages: without steps.

    Example:
        >>> import torch
        >>> starts = torch.zeros(3, 2)
        >>> round(path_length(starts, starts + 0.002, scale=1.0, step=0.001), 4)  # (0.002 / 0.001)^2
        4.0
    """
    require(len(starts), 1, "the path length")
    epsilon = step
    lengths = (starts.double() - ends.double()).square().mean(1) / (epsilon * scale) ** 2
    low, high = lengths.quantile(TRIMMED), lengths.quantile(1 - TRIMMED)
    return lengths[(lengths >= low) & (lengths <= high)].mean().item()


def _length(sides: Sides) -> dict[str, float]:
    assert sides.path is not None
    return {"ppl": path_length(*sides.path(PATHS, sides.number), sides.scale)}


METRICS = (Metric("ppl", _length, "lower", "full", latents=True),)
