"""Which modes are dropped and which runs diverge: every recipe on ring, grid, MNIST and digits, over seeds.

    python benchmarks/quality.py points-default points mnist digits --jobs 2 --data-root DIR

Each job is one run on one thread. Rows that benchmarks/quality.json has already are left out, so a bench that was
stopped goes on where it was. ``--list`` says what is missing, ``--table`` prints what is there.
"""

import argparse
import json
import os
import re
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: jobs must not fight for cores

import torch
from table import spread

from gancli import evaluate, recipes, train
from gancli.api import dry_run
from gancli.config import load_toml
from gancli.errors import TrainingDiverged
from gancli.machine import cores
from gancli.recipes.base import Spec

HERE = Path(__file__).parent
RESULTS, PICTURES = HERE / "quality.json", HERE.parent / "docs" / "pictures" / "quality"
MNIST_MINUTES = 8.0
"""Of one core, which is four minutes of two."""
MNIST_LONG_MINUTES = 20.0
"""Likewise, for the four that were best in those."""


@dataclass(frozen=True)
class Row:
    """One run: what is trained on what, for how long."""

    part: str
    data: str
    name: str
    recipe: str
    seed: int
    settings: tuple[str, ...] = ()
    steps: int | None = None
    """None: as long as `minutes` allow, or the recipe's own length."""
    minutes: float | None = None
    """Of one core. The row's first seed is timed; the others take as many steps as that one."""
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What tells rows apart."""
        return self.part, self.data, self.name, self.seed


def settings_of(name: str) -> tuple[str, ...]:
    """The hyperparameters of a file in configs/, as ``--set`` takes them."""
    found = load_toml(HERE.parent / "configs" / f"{name}.toml")
    return tuple(f"{key}={value}" for key, value in found["hyperparameters"].items())


def rows_of(part: str) -> list[Row]:
    """All rows of a part of the table."""
    names = recipes.names()
    drawing_points = [name for name in names if recipes.find(name).draws_points]
    if part == "points-default":
        pairs = [(data, seed) for seed in range(5) for data in ("grid", "ring")]
        return [Row(part, data, "default", recipes.AUTO, seed) for data, seed in pairs]
    if part == "points":
        combinations = [(data, name, s) for s in range(2) for name in drawing_points for data in ("grid", "ring")]
        return [Row(part, data, name, name, seed, steps=10_000) for data, name, seed in combinations]
    if part == "mnist":
        default = recipes.default_for(Spec(1, 28, 28, 10))
        rows = [("default", recipes.AUTO, ()), *((name, name, ()) for name in names if name != default)]
        rows += [(WITH_R1, "vanilla", settings_of("mnist")), (BALANCED, "began", settings_of("began-mnist"))]
        return [Row(part, "mnist", *row[:2], s, row[2], minutes=MNIST_MINUTES) for s in range(2) for row in rows]
    if part == "mnist-long":
        best = [
            ("default", recipes.AUTO, ()),
            (WITH_R1, "vanilla", settings_of("mnist")),
            ("acgan", "acgan", ()),
            ("cgan", "cgan", ()),
        ]
        return [Row(part, "mnist", *row[:2], s, row[2], minutes=MNIST_LONG_MINUTES) for s in range(3) for row in best]
    if part == "colour":
        perceptrons, residual = ("network=perceptron",), ("network=residual", "width=32")
        rows = [("dcgan", "dcgan", ()), ("r3gan, perceptrons", "r3gan", perceptrons), ("lsgan", "lsgan", ())]
        rows += [("r3gan, residual, width 32", "r3gan", residual), ("fastgan", "fastgan", ())]
        return [
            Row(part, CIFAR, *row[:2], s, row[2], None, 8.0, {"labels": "folder"}) for s in range(2) for row in rows
        ]
    return [Row(part, "digits", "default", recipes.AUTO, seed) for seed in range(3)]


WITH_R1 = "vanilla + R1 (configs/mnist.toml)"
BALANCED = "began, balanced (configs/began-mnist.toml)"
PARTS = ("points-default", "points", "mnist", "mnist-long", "colour", "digits")
CIFAR = "cifar10-train.zip"
"""CIFAR-10's training pictures in a folder for each class, in the data root."""


def measure(row: Row, data_root: str | None) -> dict[str, Any]:
    """Train and evaluate one row on one thread."""
    torch.set_num_threads(1)
    began, busy = time.perf_counter(), time.process_time()
    data = str(Path(data_root or "") / row.data) if row.data == CIFAR else row.data
    asked = {"data": data, **row.options, "recipe": row.recipe, "seed": row.seed, "data_root": data_root, "threads": 1}
    steps = row.steps
    if row.minutes is not None:
        steps = steps_of_first_seed(row, load()) or max(
            1, int(60 * row.minutes / step_seconds(settings=row.settings, steps=1000, **asked))
        )
    found = {
        **{key: value for key, value in asdict(row).items() if key != "options"}, "steps": steps,
        "machine": cores.processor(), "torch": torch.__version__, "date": datetime.now(UTC).date().isoformat(),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        try:
            run = train(
                out=scratch, progress="none", keep=1, steps=steps, log_every=200, settings=row.settings, **asked
            )
        except TrainingDiverged as error:
            return found | {"diverged": str(error), "seconds": round(time.perf_counter() - began)}
        report = evaluate(run.generator, data_root=data_root, metrics="fast", sets=1, seed=row.seed)
        lines = (run.run / "config.toml").read_text().splitlines()
        config = [
            line for line in lines if not line.startswith(("data =", "data_root", "out"))
        ]  # paths of this machine
        if run.samples is not None and row.seed == 0:
            PICTURES.mkdir(parents=True, exist_ok=True)
            (PICTURES / f"{row.part}-{Path(row.data).stem}-{re.sub('[^a-z0-9]+', '-', row.name)}.png").write_bytes(
                run.samples.read_bytes()
            )
    return found | {
        "steps": run.steps,
        "images_seen": run.images_seen,
        "train_seconds": round(run.seconds),
        "core_seconds": round(time.process_time() - busy),
        "seconds": round(time.perf_counter() - began),
        "figures": {figure.metric: figure.value for figure in report.figures},
        "real": {figure.metric: figure.baseline for figure in report.figures},
        "features": report.extractor,
        "n": report.figures[0].n,
        "config": "\n".join(config),
    }


def steps_of_first_seed(row: Row, results: list[dict[str, Any]]) -> int | None:
    """The length of the row's first seed where one is measured, so that seeds differ in draws and not in length."""
    found = [r for r in results if (r["part"], r["data"], r["name"]) == row.key[:3]]
    return min(found, key=lambda r: r["seed"])["steps"] if found else None


def step_seconds(**asked: Any) -> float:
    """Time of a core that a step takes; what other jobs take of the core does not count."""
    wall, busy = time.perf_counter(), time.process_time()
    plan = dry_run(**asked)
    return plan.seconds / plan.steps * min(1.0, (time.process_time() - busy) / (time.perf_counter() - wall))


def load() -> list[dict[str, Any]]:
    """What has been measured."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else []


def missing(parts: list[str], only: list[str], seeds: list[int]) -> list[Row]:
    """The rows that have not been measured."""
    done = {(r["part"], r["data"], r["name"], r["seed"]) for r in load()}
    wanted = [row for part in parts for row in rows_of(part) if row.seed in seeds and (not only or row.name in only)]
    return [row for row in wanted if row.key not in done]


def run(rows: list[Row], jobs: int, data_root: str | None) -> None:
    """Measure rows, several at a time, and write each down when it is there."""
    with ProcessPoolExecutor(jobs, max_tasks_per_child=1) as pool:
        for future in as_completed([pool.submit(measure, row, data_root) for row in rows]):
            results = [*load(), future.result()]
            order = {part: place for place, part in enumerate(PARTS)}
            results.sort(key=lambda r: (order[r["part"]], r["data"], r["name"], r["seed"]))
            scratch = RESULTS.with_suffix(".tmp")
            scratch.write_text(json.dumps(results, indent=1) + "\n")
            scratch.replace(RESULTS)
            new = future.result()
            print({key: new.get(key) for key in ("data", "name", "seed", "core_seconds", "figures")}, flush=True)


COLUMNS = {
    "points-default": ("modes", "high_quality", "reverse_kl"),
    "points": ("modes", "high_quality", "reverse_kl"),
    "mnist": ("fd", "coverage", "precision", "modes", "class_kl"),
    "mnist-long": ("fd", "coverage", "precision", "modes", "class_kl"),
    "colour": ("fd", "coverage", "precision", "modes", "class_kl"),
    "digits": ("fd", "coverage", "precision", "modes", "class_kl"),
}


def print_table() -> None:
    """A Markdown table for each part and data set; the last row is what real data score."""
    results = load()
    rows = [row for part in PARTS for row in rows_of(part)]
    for part, data in dict.fromkeys((row.part, row.data) for row in rows):
        columns = COLUMNS[part]
        print(f"\n{data} ({part})\n\n| recipe | seeds | steps | {' | '.join(columns)} | diverged |")
        print("|---" * (len(columns) + 4) + "|")
        here = [r for r in results if (r["part"], r["data"]) == (part, data)]
        for name in dict.fromkeys(row.name for row in rows if (row.part, row.data) == (part, data)):
            found = [r for r in here if r["name"] == name]
            sound = [r for r in found if "figures" in r]
            if not found:
                print(f"| {name} | not run |" + " |" * (len(columns) + 2))
                continue
            cells = [spread([r["figures"][metric] for r in sound]) if sound else "" for metric in columns]
            steps = f"{round(mean(r['steps'] for r in sound)):,}" if sound else ""
            print(f"| {name} | {len(found)} | {steps} | {' | '.join(cells)} | {len(found) - len(sound)} |")
        for real in [r["real"] for r in here if "real" in r][:1]:
            print(f"| real data | | | {' | '.join(f'{real[metric]:.3g}' for metric in columns)} | |")


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=", ".join(PARTS))
    parser.add_argument("--only", nargs="+", default=[], help="names of rows")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--data-root", default=os.environ.get("GANCLI_DATA_ROOT"))
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if options.table:
        print_table()
        return
    rows = missing(options.parts, options.only, options.seeds)
    if options.list:
        for row in rows:
            print(*row.key)
        return
    run(rows, options.jobs, options.data_root)


if __name__ == "__main__":
    main()
