"""A run's folder -> what its watch sees in it, and curves of what it looks at."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gancli.artifacts.run_folder import RunFolder
from gancli.config import load_toml
from gancli.errors import UsageError
from gancli.files.atomic import write_atomically
from gancli.health.remedies import number_of
from gancli.health.watch import PREFIX, Alarm, diagnose
from gancli.training.records import whole_lines

log = logging.getLogger(__name__)
PANELS = (
    ("losses", ("d/adv", "g/adv")),
    ("D's mean logits", ("d/logit_real", "d/logit_fake")),
    ("pairs that D ranks rightly; memorised", ("health/separation", "health/memorised")),
    ("diversity and contrast, real = 1", ("health/diversity", "health/contrast")),
    ("G's gradient", ("health/g_gradient",)),
    ("evaluation", ("eval/",)),
)
"""Title and the values, or beginnings of their names, that a panel shows."""


@dataclass(frozen=True)
class Checkup:
    """The diagnosis of a run."""

    steps: int
    lines: Sequence[Mapping[str, Any]]
    alarms: Sequence[Alarm]
    present: frozenset[str]
    """Failures that still show in the last measurement."""

    @property
    def verdict(self) -> str:
        """In one line."""
        if self.present:
            return f"failing: {', '.join(sorted(self.present))}"
        if not any(name.startswith(PREFIX) for line in self.lines for name in line):
            return "unknown: the run was not watched (--watch-every 0), or has no measurement yet"
        return "healthy now, after alarms" if self.alarms else "healthy"

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "steps": self.steps,
            "verdict": self.verdict,
            "present": sorted(self.present),
            "alarms": [alarm.as_dict() for alarm in self.alarms],
        }


def examine(run: Path) -> Checkup:
    """Read ``metrics.jsonl`` of a run, finished or not; UsageError if there is none."""
    folder = RunFolder(run)
    if not folder.metrics.is_file():
        raise UsageError(f"{run} is not the folder of a run that has begun (it has no metrics.jsonl).")
    lines = whole_lines(folder)
    alarms, present = diagnose(lines, _configuration(folder))
    return Checkup(max((line["step"] for line in lines), default=0), lines, alarms, frozenset(present))


def _configuration(folder: RunFolder) -> Mapping[str, Any]:
    """The run's, as far as it can be read; a diagnosis needs it for its advice alone."""
    try:
        return load_toml(folder.config)
    except UsageError as error:
        log.warning("the advice does not know what the run does already: %s", error)
        return {}


def draw(checkup: Checkup, target: Path) -> Path:
    """Curves of what there is, with a mark at every alarm; a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 8), layout="constrained")
    found = {each for line in checkup.lines for each in line}
    panels = [(title, sorted(name for name in found if name.startswith(names))) for title, names in PANELS]
    panels = [(title, shown) for title, shown in panels if shown]
    for place, (title, shown) in enumerate(panels, start=1):
        axes = figure.add_subplot(3, 2, place)
        for name in shown:
            points = [(line["step"], number_of(line.get(name))) for line in checkup.lines if name in line]
            axes.plot(*zip(*points, strict=True), label=name.removeprefix(PREFIX))
        for alarm in checkup.alarms:
            axes.axvline(alarm.step, color="red", alpha=0.4)
        axes.set_title(title, fontsize="medium")
        axes.set_xlabel("step")
        axes.legend(fontsize="small")
    write_atomically(target, lambda file: figure.savefig(file, format="png", dpi=100))
    return target
