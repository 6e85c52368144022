"""Sentences on figures that stand out: images made to look good by one figure are exposed by another."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from gancli.evaluation.per_class import Demand
from gancli.evaluation.pictures import Pictures, differences
from gancli.evaluation.report import Figure, Report

FEW = 0.02
"""Share of images beyond the real ones' that is called many, of near-duplicates and copies."""
LEAST_EXPECTED = 10
"""Images of a class that should be there, from which less than a tenth of them is no chance (1 in 2,000)."""
FEW_OF_OTHER_TONE = 0.1
"""Likewise of near-duplicates among images of less contrast, whose features lie nearer to each other."""
FAR = 3.0
"""Times the distance of real images from which one is called large."""
FAR_PATCHES = 2.5
"""Likewise of patches, whose distance has less noise in it."""
TONE, DARKER = 1.8, 1.5
"""Times the difference of real images, and levels of 255 beyond it, from which brightness is called another."""
DISOBEDIENT = 0.5
"""Times the share of real images recognised as their class, below which generated ones do not follow the label."""
TOO_TYPICAL = 0.05
"""Share of images beyond the real ones' from which precision on untrained features is suspicious."""
UNTRAINED = ("randconv_", "pixels")
"""Beginnings of the names of extractors that have learnt nothing."""
TOO_NEAR = 0.2
"""Times the distance of real images below which the images can hardly be other ones than those compared with."""
NOTHING = "nothing stands out against real images, by these figures."
Figures = Mapping[str, Figure]
Finding = Callable[[Figure, Figures], str | None]


def find(
    figures: Figures,
    shares: Mapping[str, tuple[float, float]],
    images: int,
    demands: Mapping[str, Demand] | None = None,
    recalls: Mapping[str, float] | None = None,
) -> tuple[str, ...]:
    """Sentences on what stands out, or one that nothing does.

    Args:
        figures: by their short names.
        shares: of each class among generated and among real images.
        images: how many were generated, in all sets together.
        demands: what a conditional generator drew for each class.
        recalls: of each class, the share of real images that the extractor recognises.
    """
    found = [rule(figures[name], figures) for name, rule in RULES.items() if name in figures]
    about_classes = _classes(shares, images), _demands(demands or {}, recalls or {})
    sentences = [text for text in (*found, *about_classes) if text]
    return tuple(sentences) or (NOTHING,)


def with_pictures(report: Report, generated: Pictures, real: Pictures, compared_at: str) -> Report:
    """The report with what pictures were like before they were compared; differences come first in its findings."""
    said = differences(generated, real, compared_at)
    rest = [each for each in report.findings if each != NOTHING or not said]
    return replace(
        report, findings=(*said, *rest), generated_pictures=generated, real_pictures=real, compared_at=compared_at
    )


def _classes(shares: Mapping[str, tuple[float, float]], images: int) -> str | None:
    """A class of which few images are expected may be missing by chance."""
    missing = [name for name, (ours, real) in shares.items() if ours < 0.1 * real and real * images >= LEAST_EXPECTED]
    if not missing:
        return None
    names = ", ".join(missing[:10]) + (", ..." if len(missing) > 10 else "")
    return f"{len(missing)} of {len(shares)} classes are missing or nearly so: {names}."


def _demands(demands: Mapping[str, Demand], recalls: Mapping[str, float]) -> str | None:
    """Classes whose images show them less than half as often as real images do, and not by chance."""
    wrong = {
        name: each
        for name, each in demands.items()
        if each.agreement < DISOBEDIENT * recalls.get(name, 0.0) - math.sqrt(1 / each.images)
    }
    if not wrong:
        return None
    listed = [f"{name} {each.agreement:.0%} (most show {each.seen})" for name, each in list(wrong.items())[:10]]
    more = ", ..." if len(wrong) > 10 else ""
    return f"labels: images do not show the class that was asked for: {', '.join(listed)}{more}."


def _distance(figure: Figure, figures: Figures) -> str | None:
    if figure.baseline is None:
        return None
    if figure.value < TOO_NEAR * figure.baseline:
        return (
            f"held-out images among them? The distance to those, {figure.value:.3g}, is far below that of other real "
            f"images ({figure.baseline:.3g})."
        )
    if not figure.value > FAR * figure.baseline:
        return None
    times = f"{figure.value / figure.baseline:.0f} times" if figure.baseline else "above"
    return f"features differ from real ones: the distance is {times} that of real images ({figure.baseline:.3g})."


def _duplicates(figure: Figure, figures: Figures) -> str | None:
    if not _beyond(figure, FEW_OF_OTHER_TONE if _of_other_tone(figures) else FEW):
        return None
    return f"near-duplicates: {figure.value:.1%} of the images have a twin among them (real: {figure.baseline:.1%})."


def _copies(figure: Figure, figures: Figures) -> str | None:
    if not _beyond(figure):
        return None
    return (
        f"copies: {figure.value:.1%} of the images are as close to one training image as only 1 % of held-out ones are."
    )


def _moved_copies(figure: Figure, figures: Figures) -> str | None:
    """Copies that are not moved are told as such."""
    as_they_are = figures["copies"].value if "copies" in figures else 0.0
    if not _beyond(figure) or figure.value < as_they_are + 2 * FEW:
        return None
    return f"copies: {figure.value:.1%} of the images are a training image, moved by a pixel or mirrored."


def _leaks(figure: Figure, figures: Figures) -> str | None:
    if not _beyond(figure):
        return None
    return (
        f"held-out images: {figure.value:.1%} of the images are as close to one image that they are compared with as "
        "only 1 % of other real ones are, so all other figures flatter."
    )


def _copying(figure: Figure, figures: Figures) -> str | None:
    """Images of few kinds are near to training images without being theirs, but as authentic as real ones."""
    if _near_by_tone(figures):
        return None
    authentic = figures.get("authpct")
    if authentic is not None and authentic.baseline is not None and authentic.value > 0.95 * authentic.baseline:
        return None
    if not figure.value < -3:
        return None
    return f"memorised: the images are nearer to training images than held-out ones are (C_T = {figure.value:.1f})."


def _authentic(figure: Figure, figures: Figures) -> str | None:
    if figure.baseline is None or not figure.value < 0.8 * figure.baseline or _near_by_tone(figures):
        return None
    return f"memorised: only {figure.value:.0f} % are authentic, of held-out images {figure.baseline:.0f} %."


def _coverage(figure: Figure, figures: Figures) -> str | None:
    if figure.baseline is None or not figure.value < 0.8 * figure.baseline:
        return None
    return f"variety is missing: {figure.value:.0%} of real images are covered, by real ones {figure.baseline:.0%}."


def _precision(figure: Figure, figures: Figures) -> str | None:
    """Untrained features of averages lie amid those of real images: precision above the real one is no merit there."""
    if figure.baseline is None:
        return None
    if _is_untrained(figure) and figure.value > figure.baseline + _margin(figure.baseline, figure.n, TOO_TYPICAL):
        return (
            f"too typical: by untrained features {figure.value:.0%} of the images lie among real ones, more than of "
            f"real images ({figure.baseline:.0%}), as of blurred ones; look at swd, tone and the images."
        )
    if not figure.value < 0.8 * figure.baseline:
        return None
    return f"quality: {figure.value:.0%} of the images lie among real ones, of real images {figure.baseline:.0%}."


def _variety(figure: Figure, figures: Figures) -> str | None:
    if figure.baseline is None or not figure.value - 1 < 0.5 * (figure.baseline - 1):
        return None
    return f"images of one class resemble one another: {figure.value:.1f} kinds instead of {figure.baseline:.1f}."


def _patches(figure: Figure, figures: Figures) -> str | None:
    if figure.baseline is None or not figure.value > FAR_PATCHES * figure.baseline:
        return None
    times = figure.value / figure.baseline if figure.baseline else math.inf
    return f"pixels differ from real ones, as of blurred or noisy images: swd is {times:.1f} times that of real images."


def _tone(figure: Figure, figures: Figures) -> str | None:
    if figure.baseline is None or not figure.value > max(DARKER + figure.baseline, TONE * figure.baseline):
        return None
    return (
        f"brightness or contrast differs: pixels are {figure.value:.1f} of 255 levels off, of real images "
        f"{figure.baseline:.1f}."
    )


def _of_other_tone(figures: Figures) -> bool:
    return "tone" in figures and _tone(figures["tone"], figures) is not None


def _near_by_tone(figures: Figures) -> bool:
    """Whether less contrast alone may bring features near to training images': pixels show no copies."""
    shown = [_beyond(figures[name]) for name in ("copies", "moved_copies") if name in figures]
    return _of_other_tone(figures) and bool(shown) and not any(shown)


def _is_untrained(figure: Figure) -> bool:
    """Whether its features are random convolutions or pixels."""
    return figure.name.removeprefix(f"{figure.metric}_").startswith(UNTRAINED)


def _margin(share: float, n: int, least: float) -> float:
    """Three standard deviations of a share of n images, or ``least`` if that is more."""
    return max(least, 3 * math.sqrt(share * (1 - share) / n))


def _beyond(figure: Figure, few: float = FEW) -> bool:
    """Whether such a share of N images is more than ``few`` and three standard deviations above that of real images."""
    margin = max(few, 3 * math.sqrt(0.01 / figure.n))
    return figure.baseline is not None and figure.value > figure.baseline + margin


RULES: Mapping[str, Finding] = {
    "leaks": _leaks,
    "fd": _distance,
    "duplicates": _duplicates,
    "copies": _copies,
    "moved_copies": _moved_copies,
    "c_t": _copying,
    "authpct": _authentic,
    "precision": _precision,
    "coverage": _coverage,
    "intra_diversity": _variety,
    "swd": _patches,
    "tone": _tone,
}
