"""What LeCam, SAN and self-distillation give: a base and the base with one of them, over seeds, on two data sets.

    python benchmarks/switches.py --data-root DIR
    python benchmarks/switches.py --table

Both sets are small, because LeCam is meant for few pictures: the embedded digits, and 1,000 pictures of MNIST, judged
against MNIST's held-out pictures. Each run has one thread. Rows that benchmarks/switches.json has are left out, so a
bench that was stopped goes on where it was. A switch pays on a set if its worst seed is better than the base's best
one in distance or coverage, and no such loss in the other.
"""

import argparse
import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from table import spread

from gancli import evaluate, train
from gancli.data.sources import load as load_data
from gancli.errors import TrainingDiverged
from gancli.machine import cores

RESULTS = Path(__file__).with_suffix(".json")
METRICS = {"fd": -1, "coverage": 1}
"""What is compared, and whether more of it is better."""
FEW = "1,000 of MNIST"
FEW_COUNT = 1000
BASE = "none"
SWITCHES = (BASE, "lecam=0.3", "san=true", "distillation=10")
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Base:
    """A recipe on a data set, for so many steps."""

    data: str
    recipe: str
    steps: int
    settings: tuple[str, ...] = ()


R1 = ("r1_gamma=20", "beta1=0.5", "g_lr=1e-3", "d_lr=1e-3")
"""As in configs/mnist.toml; without R1 the perceptrons collapse."""
BASES = (Base("digits", "dcgan", 800), Base(FEW, "vanilla", 1500, R1))


@dataclass(frozen=True)
class Row:
    """One run."""

    base: Base
    switch: str
    seed: int

    @property
    def key(self) -> tuple[str, str, int, str, int]:
        """What tells rows apart."""
        return self.base.data, self.base.recipe, self.base.steps, self.switch, self.seed


def rows() -> list[Row]:
    """All runs, seed by seed."""
    return [Row(base, switch, seed) for base in BASES for seed in SEEDS for switch in SWITCHES]


def set_of(switch: str) -> list[str]:
    """The settings of a switch."""
    return [] if switch == BASE else [switch]


def few_pictures(folder: Path, data_root: str | None) -> Path:
    """The first pictures of MNIST as a file without labels."""
    train_images = load_data("mnist", Path(data_root) if data_root else None).train.images
    path = folder / "few.npz"
    np.savez(path, np.asarray(train_images[:FEW_COUNT, 0]))
    return path


def measure(row: Row, data_root: str | None) -> dict[str, Any]:
    """Train and evaluate one row."""
    torch.set_num_threads(1)
    began = time.perf_counter()
    result = asdict(row.base) | {
        "switch": row.switch, "seed": row.seed, "machine": cores.processor(), "torch": torch.__version__,
        "date": datetime.now(UTC).date().isoformat(),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        is_few = row.base.data == FEW
        data = str(few_pictures(Path(scratch), data_root)) if is_few else row.base.data
        try:
            run = train(
                data=data, recipe=row.base.recipe, settings=[*row.base.settings, *set_of(row.switch)],
                steps=row.base.steps, seed=row.seed, threads=1, compile="off", augment="none", sample_every=0,
                eval_every=0, out=f"{scratch}/runs", data_root=data_root, progress="none", keep=1, save_every=10**6,
            )  # fmt: skip
        except TrainingDiverged as error:
            return result | {"diverged": str(error)}
        report = evaluate(
            run.generator, data="mnist" if is_few else None, data_root=data_root, metrics=list(METRICS), sets=1,
            seed=row.seed,
        )  # fmt: skip
    return result | {
        "seconds": round(time.perf_counter() - began),
        "figures": {figure.metric: figure.value for figure in report.figures},
        "real": {figure.metric: figure.baseline for figure in report.figures},
    }


def load() -> list[dict[str, Any]]:
    """What has been measured."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else []


def run(missing: list[Row], data_root: str | None) -> None:
    """Measure rows, and write each down when it is there."""
    for row in missing:
        result = measure(row, data_root)
        scratch = RESULTS.with_suffix(".tmp")
        scratch.write_text(json.dumps([*load(), result], indent=1) + "\n")
        scratch.replace(RESULTS)
        print(*row.key, result.get("figures", "diverged"), result.get("seconds"), flush=True)


def pays(base: list[dict[str, Any]], switched: list[dict[str, Any]]) -> bool:
    """True if every seed with the switch beats every seed without in one metric, and none is beaten so in the other."""

    def wins(ours: list[dict[str, Any]], theirs: list[dict[str, Any]], metric: str) -> bool:
        sign = METRICS[metric]
        return min(sign * r["figures"][metric] for r in ours) > max(sign * r["figures"][metric] for r in theirs)

    if any("diverged" in result for result in switched):
        return False
    return any(wins(switched, base, m) for m in METRICS) and not any(wins(base, switched, m) for m in METRICS)


def print_table() -> None:
    """A row for each data set and switch, as Markdown."""
    results = load()
    print("| data | recipe | steps | switch | seeds | distance | coverage | pays |\n" + "|---" * 8 + "|")
    for data, recipe, steps in dict.fromkeys((r["data"], r["recipe"], r["steps"]) for r in results):
        here = [r for r in results if (r["data"], r["recipe"], r["steps"]) == (data, recipe, steps)]
        base = [r for r in here if r["switch"] == BASE]
        for switch in dict.fromkeys(r["switch"] for r in here):
            ours = [r for r in here if r["switch"] == switch]
            sound = [r for r in ours if "figures" in r]
            cells = [spread([r["figures"][metric] for r in sound]) for metric in METRICS]
            verdict = "" if switch == BASE else "yes" if pays(base, ours) else "no"
            named = switch if switch == BASE else f"`{switch}`"
            print(f"| {data} | `{recipe}` | {steps:,} | {named} | {len(ours)} | {' | '.join(cells)} | {verdict} |")
        real = " | ".join(f"{here[0]['real'][metric]:.3g}" for metric in METRICS)
        print(f"| | | | real images | | {real} | |")


def main() -> None:
    """Measure what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", default=os.environ.get("GANCLI_DATA_ROOT"))
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if not options.table:
        done = {(r["data"], r["recipe"], r["steps"], r["switch"], r["seed"]) for r in load()}
        run([row for row in rows() if row.key not in done], options.data_root)
    print_table()


if __name__ == "__main__":
    main()
