"""Draws benchmarks/quality.json: what each recipe covers, a dot a run, beside what real data score.

python benchmarks/quality_plot.py
"""

from collections import defaultdict
from pathlib import Path
from statistics import mean
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from quality import load

TARGET = Path(__file__).parents[1] / "docs" / "pictures" / "quality.png"
PANELS = (
    ("grid", "modes", "modes of 25", (-0.5, 26)),
    ("grid", "high_quality", "share of high quality", (-0.02, 1.02)),
    ("mnist", "coverage", "coverage of the held-out digits", (-0.02, 1.02)),
    ("mnist", "fd", "feature distance, lower is better", None),
)
LENGTHS = {"points-default": ", full length", "mnist-long": ", 20 minutes"}
"""What the name of a row is followed by where it ran for longer than others."""
Runs = dict[str, list[float]]


def runs_of(data: str, metric: str) -> tuple[Runs, float]:
    """The metric of every sound run by row, diverged ones left out, and what real data score."""
    runs, real = defaultdict(list), float("nan")
    for row in load():
        if row["data"] == data and "figures" in row:
            name = row["name"].split(" (")[0] + LENGTHS.get(row["part"], "")
            runs[name].append(row["figures"][metric])
            real = row["real"][metric]
    return dict(runs), real


def draw(axes: Axes, data: str, metric: str, label: str, limits: tuple[float, float] | None) -> None:
    """One panel: rows sorted from the best down."""
    runs, real = runs_of(data, metric)
    names = sorted(runs, key=lambda name: mean(runs[name]), reverse=metric == "fd")
    for place, name in enumerate(names):
        axes.plot(runs[name], [place] * len(runs[name]), "o", color="C3" if "default" in name else "C0")
    axes.axvline(real, color="grey", linestyle=":", label="real data")
    axes.set(yticks=range(len(names)), yticklabels=names, xlabel=label, title=data)
    if limits:
        axes.set_xlim(limits)
    else:
        axes.set_xscale("log")
    axes.grid(axis="x", alpha=0.3)


def main() -> None:
    """Draw all panels into one PNG."""
    panels: list[Any] = [panel for panel in PANELS if runs_of(*panel[:2])[0]]
    figure, grid = plt.subplots(2, 2, figsize=(10, 9), layout="constrained")
    for axes in grid.flat[len(panels) :]:
        axes.axis("off")
    for axes, panel in zip(grid.flat, panels, strict=False):
        draw(axes, *panel)
    figure.legend(*grid.flat[0].get_legend_handles_labels(), loc="outside lower center")
    figure.savefig(TARGET, dpi=100)
    print(TARGET)


if __name__ == "__main__":
    main()
