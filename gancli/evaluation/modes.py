"""Count the known modes that a generator draws: Gaussians in the plane, or classes of images."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gancli.errors import UsageError, nearest
from gancli.evaluation.metrics.base import GROUPS
from gancli.evaluation.report import Report, figure_of

POINT_METRICS = ("reverse_kl", "modes", "high_quality")
BETTER = {"reverse_kl": "lower", "modes": "higher", "high_quality": "as real"}
HIGH_QUALITY = 3.0
"""A point within so many standard deviations of a mode is of high quality."""


@dataclass(frozen=True)
class ModeCount:
    """Metrics of points against a mixture of Gaussians."""

    modes: int
    """Modes with at least one point of high quality."""
    high_quality: float
    """Share of points within 3 standard deviations of a mode; 1 - exp(-9/2) = 98.9 % for the mixture itself."""
    reverse_kl: float
    """KL(shares of the nearest modes || uniform), in nats; about (modes - 1) / 2N for the mixture itself."""


def count_modes(points: Tensor, centres: Tensor, sigma: float) -> ModeCount:
    """Compare points ``(N, 2)`` with a mixture of Gaussians at ``centres`` ``(K, 2)``.

    Srivastava 2017 (VEEGAN, arXiv:1705.07761), section 4.1; Lin 2018 (PacGAN, arXiv:1712.04086), section 4.1.

    Example:
        >>> centres = torch.tensor([[0.0, 0.0], [9.0, 0.0]])
        >>> count_modes(torch.tensor([[0.1, 0.0], [5.0, 0.0]]), centres, sigma=0.1)  # one at a mode, one between two
        ModeCount(modes=1, high_quality=0.5, reverse_kl=0.0)
    """
    distances, closest = torch.cdist(points.double(), centres.double()).min(1)
    near = distances <= HIGH_QUALITY * sigma
    shares = torch.bincount(closest, minlength=len(centres)).double() / len(points)
    uniform = torch.full_like(shares, 1 / len(centres))
    return ModeCount(len(closest[near].unique()), near.double().mean().item(), divergence(shares, uniform))


def divergence(p: Tensor, q: Tensor) -> float:
    """KL(p || q) = sum_k p_k log(p_k / q_k) in nats, of distributions ``(K,)``; infinite where q lacks a class of p.

    Example:
        >>> round(divergence(torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.5])), 4)  # log 2
        0.6931
    """
    return torch.special.xlogy(p, p / q).nan_to_num(0.0, posinf=torch.inf).sum().item()


@dataclass(frozen=True)
class ClassCount:
    """Metrics of images' classes, by a classifier."""

    modes: int
    """Number of classes that occur."""
    reverse_kl: float
    """KL(shares of the classes || uniform), in nats; about (classes - 1) / 2N for uniform classes."""
    class_kl: float
    """KL(shares of the classes || their shares among real images), in nats; infinite if those lack one."""


def count_classes(generated: Tensor, real: Tensor) -> ClassCount:
    """Count classes by logits ``(N, K)`` and ``(M, K)``; an image's class is that of its largest logit.

    Papers give modes and reverse KL for stacked MNIST, with K = 1000: Metz et al. 2017 (Unrolled GAN,
    arXiv:1611.02163), on 26,000 images as in Srivastava et al. 2017.

    Example:
        >>> count = count_classes(torch.eye(4)[[0, 0, 1, 1]], torch.eye(4))
        >>> count.modes, round(count.reverse_kl, 4), round(count.class_kl, 4)  # two of four classes: log 2
        (2, 0.6931, 0.6931)
    """
    ours, theirs = (
        torch.bincount(each.argmax(1), minlength=each.shape[1]).double() / len(each) for each in (generated, real)
    )
    uniform = torch.full_like(ours, 1 / len(ours))
    return ClassCount(int((ours > 0).sum()), divergence(ours, uniform), divergence(ours, theirs))


class MixtureEvaluator:
    """Compares generated points with the mixture of the data; see `ModeCount`.

    ``heldout`` are real points ``(N, 2)`` for the baseline; ``name`` is the data set's.
    """

    def __init__(
        self, name: str, centres: Tensor, sigma: float, heldout: Tensor, fingerprint: str, seed: int = 0
    ) -> None:
        self.name, self.centres, self.sigma = name, centres, sigma
        self.heldout, self.fingerprint, self.seed = heldout, fingerprint, seed

    def evaluate(
        self,
        generated: Tensor | Sequence[Tensor],
        wanted: str | Sequence[str] = POINT_METRICS,
        asked: Sequence[int] | None = None,
        path: object = None,
        source: str = "",
        data: str = "",
    ) -> Report:
        """Compare one or several sets of points ``(N, 2)`` or ``(N, 2, 1, 1)``; a group means all metrics.

        ``asked`` and ``path`` are ignored. UsageError for an unknown metric.
        """
        chosen = self._chosen(wanted)
        sets = [generated] if isinstance(generated, Tensor) else list(generated)
        n = min(len(self.heldout), *map(len, sets))
        real = [part for part in self.heldout.split(n) if len(part) == n][: len(sets)]
        ours, theirs = (
            [count_modes(points[:n].flatten(1), self.centres, self.sigma) for points in side] for side in (sets, real)
        )
        figures = tuple(
            figure_of(
                metric, f"{metric}_{self.name}", [float(getattr(each, metric)) for each in ours],
                [float(getattr(each, metric)) for each in theirs], n, BETTER[metric],
            )
            for metric in chosen
        )  # fmt: skip
        warnings = ("one generated set has no error bars.",) if len(sets) == 1 else ()
        return Report(
            figures, "coordinates", None, "heldout", self.fingerprint, self.seed, warnings,
            findings=_findings(ours, theirs, len(self.centres)), generated=source, data=data,
        )  # fmt: skip

    def _chosen(self, wanted: str | Sequence[str]) -> list[str]:
        names = [name.strip() for name in wanted.split(",")] if isinstance(wanted, str) else list(wanted)
        for metric in names:
            if metric not in POINT_METRICS and metric not in GROUPS:
                raise UsageError(f"there is no metric {metric!r} of points; {nearest(metric, POINT_METRICS)}")
        return [metric for metric in POINT_METRICS if metric in names or set(names) & set(GROUPS)]


def _findings(generated: Sequence[ModeCount], real: Sequence[ModeCount], modes: int) -> tuple[str, ...]:
    fewest = min(each.modes for each in generated)
    quality = sum(each.high_quality for each in generated) / len(generated)
    expected = sum(each.high_quality for each in real) / len(real)
    said = [f"modes are missing: as few as {fewest} of {modes} are drawn."] if fewest < modes else []
    if quality < 0.9 * expected:
        said.append(f"quality: {quality:.0%} of the points are near a mode, of real points {expected:.0%}.")
    if quality > expected + 0.007:
        said.append(f"too narrow: {quality:.1%} of the points are near a mode, of real points only {expected:.1%}.")
    return tuple(said) or ("nothing stands out against real points.",)
