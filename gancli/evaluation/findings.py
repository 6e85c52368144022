"""Describe unusual figures in sentences; a trick that improves one figure shows in another."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from gancli.evaluation.per_class import Demand
from gancli.evaluation.pictures import Pictures, differences
from gancli.evaluation.report import Figure, Report

FEW = 0.02
"""Excess over the real images' share that is reported, for near-duplicates and copies."""
MIN_EXPECTED = 10
"""Expected images of a class from which less than a tenth of them is not chance (1 in 2,000)."""
FEW_OF_OTHER_TONE = 0.1
"""The same for near-duplicates among images of less contrast, whose features are nearer to each other."""
FAR = 3.0
"""Multiple of real images' distance from which one is reported as large."""
FAR_PATCHES = 2.5
"""The same for patches, whose distance is less noisy."""
TONE, DARKER = 1.8, 1.5
"""Multiple of real images' difference, and levels of 255 above it, from which brightness is reported."""
DISOBEDIENT = 0.5
"""Multiple of the share of recognised real images below which generated ones do not follow the label."""
TOO_TYPICAL = 0.05
"""Excess over real images' precision from which precision on untrained features is suspicious."""
UNTRAINED = ("randconv_", "pixels")
"""Prefixes of the names of untrained extractors."""
TOO_NEAR = 0.2
"""Multiple of real images' distance below which generated images probably contain held-out ones."""
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
    """Sentences on unusual figures, or one that there are none.

    Args:
        figures: Figures by short names.
        shares: Share of each class among generated and among real images.
        images: Number of generated images in all sets.
        demands: Images that a conditional generator drew for each class.
        recalls: Share of each class's real images that the extractor recognises.
    """
    about_figures = [rule(figures[name], figures) for name, rule in RULES.items() if name in figures]
    about_classes = _classes(shares, images), _demands(demands or {}, recalls or {})
    sentences = [text for text in (*about_figures, *about_classes) if text]
    return tuple(sentences) or (NOTHING,)


def with_pictures(report: Report, generated: Pictures, real: Pictures, compared_at: str) -> Report:
    """The report with a description of both sides' pictures; differences come first in the findings."""
    said = differences(generated, real, compared_at)
    rest = [each for each in report.findings if each != NOTHING or not said]
    return replace(
        report, findings=(*said, *rest), generated_pictures=generated, real_pictures=real, compared_at=compared_at
    )


def _classes(shares: Mapping[str, tuple[float, float]], images: int) -> str | None:
    """Missing classes, except those of which so few images are expected that chance explains it."""
    missing = [name for name, (ours, real) in shares.items() if ours < 0.1 * real and real * images >= MIN_EXPECTED]
    if not missing:
        return None
    names = ", ".join(missing[:10]) + (", ..." if len(missing) > 10 else "")
    return f"{len(missing)} of {len(shares)} classes are missing or nearly so: {names}."


def _demands(demands: Mapping[str, Demand], recalls: Mapping[str, float]) -> str | None:
    """Classes that their images show less than half as often as real images do, and not by chance."""
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
    """Copies that are moved; others are reported by `_copies`."""
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
    """Memorisation by C_T, unless AuthPct is normal: images of few kinds are near to training images by chance."""
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
    """Low precision, or precision above that of real images on untrained features, which blurred images reach."""
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
    """True if less contrast alone may explain features near training images: pixels show no copies."""
    shown = [_beyond(figures[name]) for name in ("copies", "moved_copies") if name in figures]
    return _of_other_tone(figures) and bool(shown) and not any(shown)


def _is_untrained(figure: Figure) -> bool:
    """True if the features are random convolutions or pixels."""
    return figure.name.removeprefix(f"{figure.metric}_").startswith(UNTRAINED)


def _margin(share: float, n: int, least: float) -> float:
    """Three standard deviations of a share of n images, at least ``least``."""
    return max(least, 3 * math.sqrt(share * (1 - share) / n))


def _beyond(figure: Figure, few: float = FEW) -> bool:
    """True if a share is above that of real images by more than ``few`` and three standard deviations."""
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
