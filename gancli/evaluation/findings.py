"""What figures say, in sentences: a set of images that was made to look good by one figure is exposed by another."""

import math
from collections.abc import Callable, Mapping

from gancli.evaluation.report import Figure

FEW = 0.02
"""Share of images beyond the real ones' that is called many, of near-duplicates and copies."""
LEAST_EXPECTED = 10
"""Images of a class that should be there, from which less than a tenth of them is no chance (1 in 2,000)."""
Finding = Callable[[Figure], str | None]


def find(figures: Mapping[str, Figure], shares: Mapping[str, tuple[float, float]], images: int) -> tuple[str, ...]:
    """Sentences on the figures, by short name, and on the classes' shares, generated and real; one if all is well.

    ``images`` is how many were generated, in all sets together.
    """
    found = [rule(figures[name]) for name, rule in RULES.items() if name in figures]
    sentences = [text for text in (*found, _classes(shares, images)) if text]
    return tuple(sentences) or ("nothing stands out against real images, by these figures.",)


def _classes(shares: Mapping[str, tuple[float, float]], images: int) -> str | None:
    """A class of which few images are expected may be missing by chance."""
    missing = [name for name, (ours, real) in shares.items() if ours < 0.1 * real and real * images >= LEAST_EXPECTED]
    if not missing:
        return None
    names = ", ".join(missing[:10]) + (", ..." if len(missing) > 10 else "")
    return f"{len(missing)} of {len(shares)} classes are missing or nearly so: {names}."


def _distance(figure: Figure) -> str | None:
    if figure.baseline is None or not figure.value > 5 * figure.baseline:
        return None
    times = f"{figure.value / figure.baseline:.0f} times" if figure.baseline else "above"
    return f"features differ from real ones: the distance is {times} that of real images ({figure.baseline:.3g})."


def _duplicates(figure: Figure) -> str | None:
    if not _beyond(figure, max(FEW, _noise(figure))):
        return None
    return f"near-duplicates: {figure.value:.1%} of the images have a twin among them (real: {figure.baseline:.1%})."


def _copies(figure: Figure) -> str | None:
    if not _beyond(figure, max(FEW, _noise(figure))):
        return None
    return (
        f"copies: {figure.value:.1%} of the images are as close to one training image as only 1 % of held-out ones are."
    )


def _copying(figure: Figure) -> str | None:
    if not figure.value < -3:
        return None
    return f"memorised: the images are nearer to training images than held-out ones are (C_T = {figure.value:.1f})."


def _authentic(figure: Figure) -> str | None:
    if figure.baseline is None or not figure.value < 0.8 * figure.baseline:
        return None
    return f"memorised: only {figure.value:.0f} % are authentic, of held-out images {figure.baseline:.0f} %."


def _coverage(figure: Figure) -> str | None:
    if figure.baseline is None or not figure.value < 0.8 * figure.baseline:
        return None
    return f"variety is missing: {figure.value:.0%} of real images are covered, by real ones {figure.baseline:.0%}."


def _precision(figure: Figure) -> str | None:
    if figure.baseline is None or not figure.value < 0.8 * figure.baseline:
        return None
    return f"quality: {figure.value:.0%} of the images lie among real ones, of real images {figure.baseline:.0%}."


def _variety(figure: Figure) -> str | None:
    if figure.baseline is None or not figure.value - 1 < 0.5 * (figure.baseline - 1):
        return None
    return f"images of one class resemble one another: {figure.value:.1f} kinds instead of {figure.baseline:.1f}."


def _pixels(figure: Figure) -> str | None:
    if figure.baseline is None or not figure.value > 5 * figure.baseline:
        return None
    return f"pixels differ from real ones: swd is {figure.value / figure.baseline:.0f} times that of real images."


def _beyond(figure: Figure, margin: float) -> bool:
    return figure.baseline is not None and figure.value > figure.baseline + margin


def _noise(figure: Figure) -> float:
    """Three standard deviations of such a share of N images."""
    return 3 * math.sqrt(0.01 / figure.n)


RULES: Mapping[str, Finding] = {
    "fd": _distance,
    "duplicates": _duplicates,
    "copies": _copies,
    "c_t": _copying,
    "authpct": _authentic,
    "precision": _precision,
    "coverage": _coverage,
    "intra_diversity": _variety,
    "swd": _pixels,
}
