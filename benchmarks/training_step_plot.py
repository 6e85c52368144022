"""Draws benchmarks/training_step.json: how many times faster than the loops that people copy, a group of bars a case.

python benchmarks/training_step_plot.py
"""

import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
NAMES = {
    "plain": "plain step", "fp32": "fp32", "fp32 compiled": "fp32 compiled", "bf16": "bf16",
    "bf16 compiled": "bf16 compiled",
}  # fmt: skip


def main() -> None:
    """One panel for each number of threads."""
    found = json.loads((HERE / "training_step.json").read_text())
    counts = sorted({row["threads"] for row in found["rows"]})
    figure, panels = plt.subplots(
        1, len(counts), figsize=(6 * len(counts), 3.6), sharey=True, squeeze=False, layout="constrained"
    )
    for axes, threads in zip(panels[0], counts, strict=True):
        rows = [row for row in found["rows"] if row["threads"] == threads]
        for place, (way, name) in enumerate(NAMES.items()):
            heights = [row["times_faster"].get(way, 0) for row in rows]
            axes.bar([group + 0.17 * (place - 2) for group in range(len(rows))], heights, 0.15, label=name)
        axes.axhline(1, color="black", linewidth=0.8)
        axes.set_xticks(range(len(rows)), [f"{row['case']}\nagainst {row['against']}" for row in rows], fontsize=7)
        axes.set_title(f"{threads} thread{'s' if threads > 1 else ''}")
    panels[0][0].set_ylabel("times as fast as the loop it is against")
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=len(NAMES))
    figure.suptitle(f"{found['processor']}, torch {found['torch']}", fontsize=9)
    figure.savefig(HERE / "pictures" / "training_step.png", dpi=110)


if __name__ == "__main__":
    main()
