"""How to measure, whatever is measured: what ``gancli eval`` is asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gancli.data import Progress
from gancli.errors import UsageError, nearest
from gancli.evaluation import POINT_METRICS, Limit, metrics
from gancli.evaluation.sources.choose_evaluator import AUTO, ExtractorChoice
from gancli.sampling import generator

SETS, MOST_SETS = 3, 1000


def _silent(done: int, total: int) -> None:
    pass


@dataclass(frozen=True)
class Request:
    """How to measure, whatever is measured."""

    data: str | None = None
    """Real images: name of a data set, folder, zip file, or ``.npz`` file of features; None: the generator's own."""
    train: str | None = None
    """Other real images, on which the generator was trained; None: the data set's own split."""
    data_root: str | Path | None = None
    metrics: str | Sequence[str] = "standard"
    n: int | None = None
    """Images of each set; None: as many as are held out."""
    sets: int = SETS
    seed: int = 0
    device: str = "auto"
    extractor: ExtractorChoice = AUTO
    cache: bool = True
    labels: Literal["auto", "none", "folder"] = "auto"
    """Where the classes of real pictures come from, in place of a named set; see `PictureOptions`."""
    bad_images: Literal["error", "skip"] = "error"
    """What happens to pictures that cannot be read."""
    save_features: Path | None = None
    """Folder for the features of all images."""
    plots: Path | None = None
    """Folder for the report and plots."""
    on_batch: Callable[[int, int], None] = _silent
    on_progress: Progress = _silent

    def __post_init__(self) -> None:
        for name, most in (("n", generator.MOST_IMAGES), ("sets", MOST_SETS)):
            value = getattr(self, name)
            if value is not None and not 0 < value <= most:
                raise UsageError(f"--{name} {value} must be more than 0 and at most {most:,}.")
        measured(self.metrics)
        if self.save_features and self.save_features.exists() and any(self.save_features.glob("*.npz")):
            raise UsageError(f"--save-features {self.save_features} has features already; name another folder.")


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
    """Whether a condition is on one of these figures, perhaps by its full name."""
    return any(limit.metric == name or limit.metric.startswith(f"{name}_") for name in names)
