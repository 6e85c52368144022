"""The settings of an evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gancli.config.evaluate_command import Measuring
from gancli.config.pictures import PictureOptions
from gancli.config.settings import like
from gancli.errors import UsageError, nearest
from gancli.evaluation import POINT_METRICS, Limit, metrics
from gancli.evaluation.sources.choose_evaluator import ExtractorChoice

READING = ("range", "frames", "max_pixels")
"""Settings of pictures that are as in training unless they are given."""


@dataclass(frozen=True)
class Request(Measuring):
    """The settings of an evaluation; UsageError for impossible ones."""

    data: str | None = like(Measuring, "data")
    train: str | None = like(Measuring, "train")

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.choice  # which refuses what cannot be
        measured(self.metrics)
        if self.save_features and any(Path(self.save_features).glob("*.npz")):
            raise UsageError(f"--save-features {self.save_features} has features already; name another folder.")

    def picture_options(self, **more: Any) -> PictureOptions:
        """How pictures are read that no generator was trained on."""
        given = {name: getattr(self, name) for name in ("bad_images", *READING)}
        return PictureOptions(**given | more)

    def changed_reading(self) -> dict[str, Any]:
        """The settings for reading pictures that differ from the defaults."""
        usual = PictureOptions()
        changed = {name: getattr(self, name) for name in ("labels", "bad_images", *READING)}
        return {name: value for name, value in changed.items() if value != getattr(usual, name)}

    @property
    def choice(self) -> ExtractorChoice:
        """The choice of ``--extractor`` and ``--weights``."""
        return ExtractorChoice(self.extractor, Path(self.weights) if self.weights else None)


def measured(wanted: str | Sequence[str]) -> list[str]:
    """Names of the figures that these metrics and groups may give, of images or points, with labels or without.

    Raises UsageError for unknown ones.
    """
    names = [name.strip() for name in wanted.split(",")] if isinstance(wanted, str) else list(wanted)
    of_images = [name for name in names if name not in POINT_METRICS or name in metrics.table()]
    images, _ = metrics.choose(of_images, labelled=False)  # the fast group has most metrics without labels
    points = [name for name in POINT_METRICS if name in names or set(names) & set(metrics.GROUPS)]
    return [*(metric.name for metric in images), *points]


def require_measured(limits: Sequence[Limit], wanted: str | Sequence[str]) -> None:
    """UsageError for a condition on a figure that these metrics do not give, before any work is done."""
    names = measured(wanted)
    known = [*names, *(["fid"] if "fd" in names else [])]
    for limit in limits:
        if _is_of(limit, known):
            continue
        wrong = f"there is no metric {limit.metric!r}; {nearest(limit.metric, known)}"
        for name in (*metrics.table(), "fid", *POINT_METRICS):
            if _is_of(limit, [name]):
                wrong = f"{name} is not measured; add {'fd' if name == 'fid' else name} to --metrics."
        raise UsageError(f"--fail-if {limit.text!r}: {wrong}")


def _is_of(limit: Limit, names: Sequence[str]) -> bool:
    """True if a condition is on one of these figures, by short or full name."""
    return any(limit.metric == name or limit.metric.startswith(f"{name}_") for name in names)
