"""Perceptual path length: how fast features change along a path between latents."""

from torch import Tensor

from gancli.evaluation.metrics.base import Metric, Sides, require

STEP = 1e-3
"""Length of a step, as a share of the path."""
PATHS = 1000
TRIMMED = 0.01


def path_length(starts: Tensor, ends: Tensor, scale: float, step: float = STEP) -> float:
    """Mean squared speed of features along short steps between latents, in units of their mean square.

    ``E |f(G(z(t))) - f(G(z(t + step)))|^2 / step^2``, Karras et al. 2019 (arXiv:1812.04948), eq. 2, without the
    lowest and highest 1 %; the features are the evaluation's, not LPIPS, so only figures of equal extractors compare.
    ``starts`` and ``ends`` are features ``(N, d)``, ``scale`` their root mean square. UsageError without steps.
    """
    require(len(starts), 1, "the path length")
    lengths = (starts.double() - ends.double()).square().mean(1) / (step * scale) ** 2
    low, high = lengths.quantile(TRIMMED), lengths.quantile(1 - TRIMMED)
    return lengths[(lengths >= low) & (lengths <= high)].mean().item()


def _length(sides: Sides) -> dict[str, float]:
    assert sides.path is not None
    return {"ppl": path_length(*sides.path(PATHS, sides.number), sides.scale)}


METRICS = (Metric("ppl", _length, "lower", "full", latents=True),)
