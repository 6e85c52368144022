"""Curves of a run's losses, measurements and evaluations, with the thresholds of its alarms, as a PNG."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gancli.files.atomic import write_atomically
from gancli.health import rules
from gancli.health.remedies import number_of
from gancli.health.watch import MEASURED, PREFIX
from gancli.runs.doctor import Checkup

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 3


@dataclass(frozen=True)
class Panel:
    """Curves that share a scale."""

    title: str
    names: tuple[str, ...]
    thresholds: tuple[float, ...] = ()
    """Thresholds of the alarms."""
    scale: str = "linear"


PANELS = (
    Panel("losses", ("d/adv", "g/adv")),
    Panel("D's mean logits", ("d/logit_real", "d/logit_fake")),
    Panel(
        "pairs that D ranks correctly", ("health/separation",), (rules.LOST_SEPARATION, rules.WON_SEPARATION)
    ),
    Panel("held-out pairs that D ranks correctly", ("health/heldout_separation",), (rules.CHANCE,)),
    Panel("D's loss, 1 = guessing", ("health/d_left",), (rules.WON_LOSS,)),
    Panel("memorised", ("health/memorised",)),
    Panel("diversity, real images = 1", ("health/diversity",), (rules.ALIKE,)),
    Panel("samples with a twin", ("health/duplicates",), (rules.TWINS,)),
    Panel("contrast, real images = 1", ("health/contrast",), (rules.FAINT,)),
    Panel("G's gradient", ("health/g_gradient",), scale="log"),
    Panel("spread of D's logits", ("health/logit_spread",), (rules.FLAT_LOGITS,), scale="log"),
    Panel("loss scale of half precision", ("health/loss_scale",), (rules.LEAST_SCALE,), scale="log"),
)  # fmt: skip


def draw(checkup: Checkup, target: Path) -> Path:
    """Write the curves to ``target``; red lines mark alarms, dashed ones thresholds."""
    figure = figure_of(checkup)
    write_atomically(target, lambda file: figure.savefig(file, format="png", dpi=100))
    return target


def figure_of(checkup: Checkup) -> "Figure":
    """One panel per measurement and per evaluated metric of the run."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(name for line in checkup.lines for name in line))
    evaluated = [Panel(name, (name,)) for name in names if name.startswith("eval/") and name != "eval/seconds"]
    panels = [panel for panel in (*PANELS, *evaluated) if set(panel.names) & set(names)]
    rows = max(1, -(-len(panels) // COLUMNS))
    figure = Figure(figsize=(4 * COLUMNS, 2.4 * rows), layout="constrained")
    for place, panel in enumerate(panels, start=1):
        _draw_panel(figure.add_subplot(rows, COLUMNS, place), panel, checkup)
    figure.supxlabel("step; red: alarms; dashed: thresholds of the alarms", fontsize=9)
    return figure


def _draw_panel(axes: "Axes", panel: Panel, checkup: Checkup) -> None:
    for name in panel.names:
        points = [(line["step"], number_of(line[name])) for line in checkup.lines if name in line]
        axes.plot(*zip(*points, strict=True), label=name, marker="o" if len(points) < 20 else None, ms=3)
    thresholds = _vanishing_gradient(checkup.lines) if "health/g_gradient" in panel.names else panel.thresholds
    for threshold in thresholds:
        axes.axhline(threshold, color="grey", linestyle="--", linewidth=1)
    for spell in (spell for finding in checkup.findings for spell in finding.spells):
        axes.axvline(spell.alarm.step, color="red", alpha=0.4)
    axes.set_yscale(panel.scale)
    axes.set_title(panel.title, fontsize=9)
    axes.tick_params(labelsize=8)
    if len(panel.names) > 1:
        axes.legend(fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.12), frameon=False)


def _vanishing_gradient(lines: Sequence[Any]) -> tuple[float, ...]:
    """The threshold of G's gradient, relative to its first measurements."""
    signs = [
        {name.removeprefix(PREFIX): number_of(value) for name, value in line.items() if name.startswith(PREFIX)}
        for line in lines
    ]
    signs = [each for each in signs if each.keys() >= MEASURED]
    return (rules.early_gradient(signs) * rules.VANISHED,) if len(signs) > rules.EARLY else ()
