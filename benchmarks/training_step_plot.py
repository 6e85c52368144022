"""Draws benchmarks/training_step.json and gpu.json: how many times faster than the loops that people copy.

A panel for each number of threads of the processor, and one for each card; a group of bars for each case.

python benchmarks/training_step_plot.py
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from gpu_rows import read

matplotlib.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
CPU_WAYS = {
    "plain": "plain step", "fp32": "fp32", "fp32 compiled": "fp32 compiled", "bf16": "bf16",
    "bf16 compiled": "bf16 compiled",
}  # fmt: skip
CARD_WAYS = {
    "tf32 plain": "plain step, TF32", "tf32 traced graph": "TF32, one CUDA graph", "bf16 plain": "plain step, bf16",
    "bf16 traced graph": "bf16, one CUDA graph", "bf16 compiled graph": "bf16, compiled, one CUDA graph",
}  # fmt: skip
REFERENCES = {
    "example, images on the device": "example with its\nimages on the device", "bf16 plain": "plain step in bf16",
    "tf32 plain": "plain step in TF32", "fp32 plain": "plain step in fp32",
}  # fmt: skip
"""What a card's ways are compared with, in words: the first that was measured. The example reads images from the host,
one by one; with them on the device, steps alone are compared."""


@dataclass(frozen=True)
class Panel:
    """Bars of one machine."""

    title: str
    ways: dict[str, str]
    """Each way and its legend."""
    cases: dict[str, dict[str, float]]
    """Times faster of each way, by what is written below the group; a way that was not measured has no bar."""


def on_processor() -> list[Panel]:
    """One panel for each number of threads."""
    found = json.loads((HERE / "training_step.json").read_text())
    panels = []
    for threads in sorted({row["threads"] for row in found["rows"]}):
        rows = [row for row in found["rows"] if row["threads"] == threads]
        cases = {f"{row['case']}\nagainst {row['against']}": row["times_faster"] for row in rows}
        title = f"{found['processor']}, {threads} thread{'s' if threads > 1 else ''}, torch {found['torch']}"
        panels.append(Panel(title, CPU_WAYS, cases))
    return panels


def on_cards() -> list[Panel]:
    """One panel for each card."""
    rows = [row for row in read(HERE / "gpu.json") if row["part"] == "speed" and "milliseconds" in row]
    panels = []
    for card in dict.fromkeys(row["card"] for row in rows):
        own = [row for row in rows if row["card"] == card]
        milliseconds: dict[str, dict[str, float]] = {}
        for row in own:
            case, *more = _case_and_arithmetic(row)
            milliseconds.setdefault(case, {}).update(
                {" ".join([*more, way]): value for way, value in row["milliseconds"].items()}
            )
        cases = {}
        for case, ways in milliseconds.items():
            against = next(name for name in REFERENCES if name in ways)
            times = {way: ways[against] / value for way, value in ways.items()}
            cases[f"{case}\nagainst {REFERENCES[against]}"] = times
        panels.append(Panel(f"{card}, torch {own[0]['torch'].split('+')[0]}", CARD_WAYS, cases))
    return panels


def _case_and_arithmetic(row: dict[str, Any]) -> list[str]:
    """ "dcgan 64, batch 512, bf16, traced" -> that case and "bf16"; of the example, the case alone."""
    case, *rest = row["name"].rsplit(", ", 2 if "gflop" in row else 1)
    return [case, *rest[:-1]]


def draw(axes: Any, panel: Panel) -> None:
    """One panel, with its legend below it."""
    width = 0.85 / len(panel.ways)
    for place, (way, name) in enumerate(panel.ways.items()):
        heights = [times.get(way, 0.0) for times in panel.cases.values()]
        left = width * (place - (len(panel.ways) - 1) / 2)
        axes.bar([group + left for group in range(len(heights))], heights, 0.9 * width, label=name)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xticks(range(len(panel.cases)), panel.cases, fontsize=7)
    axes.set_title(panel.title, fontsize=9)
    axes.set_ylabel("times as fast as the loop it is against", fontsize=8)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, fontsize=7, frameon=False)


def main() -> None:
    """Write docs/pictures/training_step.png."""
    panels = [*on_processor(), *on_cards()]
    figure, places = plt.subplots(1, len(panels), figsize=(5.5 * len(panels), 4.2), squeeze=False, layout="constrained")
    for axes, panel in zip(places[0], panels, strict=True):
        draw(axes, panel)
    figure.savefig(HERE.parent / "docs" / "pictures" / "training_step.png", dpi=110)


if __name__ == "__main__":
    main()
