"""The table of metrics. Each file here except ``base`` lists some in ``METRICS``; adding a file adds its metrics."""

import importlib
import pkgutil
from collections.abc import Sequence
from functools import cache

from gancli.errors import UsageError, nearest
from gancli.evaluation.metrics.base import GROUPS, Metric, Sides

__all__ = ["GROUPS", "Metric", "Sides", "choose", "table"]
ORDER = ("fd", "fid", "kid", "precision", "recall", "density", "coverage")
"""The first metrics of a report; the others follow by group and name."""


@cache
def table() -> dict[str, Metric]:
    """All metrics by name, in the order of reports."""
    files = [module.name for module in pkgutil.iter_modules(__path__) if module.name != "base"]
    listed = [metric for file in files for metric in importlib.import_module(f"{__name__}.{file}").METRICS]
    listed.sort(key=lambda m: (ORDER.index(m.name) if m.name in ORDER else 99, GROUPS.index(m.group)))
    return {metric.name: metric for metric in listed}


def choose(wanted: str | Sequence[str], labelled: bool = True) -> tuple[list[Metric], set[str]]:
    """The metrics of these names of metrics and groups, and the names that are not groups.

    ``wanted`` may be one text with commas. Without labels the fast group has more metrics.

    Raises:
        UsageError: a name is neither a metric nor a group.

    Example:
        >>> [metric.name for metric in choose("recall,fd")[0]]
        ['fd', 'recall']
    """
    names = [name.strip() for name in wanted.split(",")] if isinstance(wanted, str) else list(wanted)
    groups = [name for name in names if name in GROUPS]
    for name in names:
        if name not in GROUPS and name not in table():
            raise UsageError(f"there is no metric {name!r}; {nearest(name, [*GROUPS, *table()])}")
    largest = max((GROUPS.index(name) for name in groups), default=-1)
    chosen = [m for m in table().values() if m.name in names or _group_of(m, labelled) <= largest]
    return chosen, set(names) - set(GROUPS)


def _group_of(metric: Metric, labelled: bool) -> int:
    return 0 if metric.fast_without_labels and not labelled else GROUPS.index(metric.group)
