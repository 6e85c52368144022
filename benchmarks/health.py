"""How often the watch is right: healthy runs of every recipe, and runs that were made to fail.

    python benchmarks/health.py --data-root DIR
    python benchmarks/health.py --table

What a run was is told by an evaluation at its end that the watch does not see: failed with a coverage under 5 % or a
loss that is not finite, healthy with one over 15 %, neither in between. Runs on a few pictures without augmentation,
whose discriminator can only learn them by heart, are a kind of their own: there the watch must say so. The thresholds
were set with seed 0; other seeds test them. benchmarks/health.json keeps what the watch measured, so that a change of
its thresholds is judged again in a second; runs that it has are not repeated.
"""

import argparse
import json
import os
import platform
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from sklearn.datasets import load_digits

from gancli import evaluate, recipes, train
from gancli.config import load_toml
from gancli.errors import TrainingDiverged
from gancli.health.watch import PREFIX, Alarm, diagnose
from gancli.sampling import rendering

RESULTS = Path(__file__).with_suffix(".json")
FAILED, HEALTHY = 0.05, 0.15
FEW = "few digits"
FEW_COUNT = 80


@dataclass(frozen=True)
class Run:
    """What is trained, for how many steps."""

    name: str
    recipe: str
    settings: tuple[str, ...] = ()
    steps: int = 1500
    data: str = "digits"
    augment: str = "auto"
    seed: int = 0
    batch_size: int = 64


STEPS = {"sngan": 500, "projection": 500, "unrolled": 600, "wgan-gp": 800, "wgan": 1000, "projected": 600,
         "latent": 1700, "stylegan2": 1000}  # fmt: skip
"""Of recipes whose steps take long, or that have a stage before the GAN."""
SMALL: dict[str, Any] = {
    "latent": {"settings": ("width=64", "network_width=128", "perceptual=0", "autoencoder_images=44800")},
    "projected": {"settings": ("width=4",), "batch_size": 8},
    "stylegan2": {"settings": ("width=16", "max_width=32"), "batch_size": 32},
}
"""Recipes for larger pictures than digits, at a size that one core bears."""


def runs(seed: int) -> list[Run]:
    """Every recipe as it is, and what breaks one."""
    usual = [Run("the demo", "r3gan", steps=3599)]
    usual += [Run(name, name, steps=STEPS.get(name, 1500), **SMALL.get(name, {})) for name in recipes.names()]
    usual += [Run(f"{name} on {FEW}", name, data=FEW, augment="ada") for name in ("dcgan", "r3gan")]
    usual += [Run(f"{name} on MNIST", name, data="mnist", steps=1000) for name in ("r3gan", "dcgan", "vanilla")]
    r1 = ("r1_gamma=20.0", "beta1=0.5", "g_lr=1e-3", "d_lr=1e-3")
    usual.append(Run("vanilla with R1 on MNIST", "vanilla", r1, 1500, "mnist"))
    broken = [Run(f"{name} alone on {FEW}", name, data=FEW, augment="none") for name in ("dcgan", "dragan", "r3gan")]
    broken += [Run(f"{name}, D's rate 0.02", name, ("d_lr=0.02",)) for name in ("dcgan", "lsgan", "vanilla", "pacgan")]
    broken += [Run(f"{name}, G's rate 0.05", name, ("g_lr=0.05",)) for name in ("dcgan", "cgan", "acgan", "r3gan")]
    broken += [Run(f"{name}, G stands still", name, ("g_lr=1e-9",), 1000) for name in ("dcgan", "dragan", "r3gan")]
    broken += [Run(f"{name}, both rates 1", name, ("g_lr=1.0", "d_lr=1.0"), 800) for name in ("vanilla", "dcgan")]
    narrow = ("width=8", "network_width=64", "autoencoder_images=44800")
    broken.append(Run("latent, an autoencoder of width 8", "latent", narrow, STEPS["latent"]))
    usual.append(_small("stylegan2, no path lengths", "stylegan2", "path_weight=0"))
    usual.append(_small("stylegan2, R1 of 0.1", "stylegan2", "gamma=0.1"))
    usual.append(Run("stylegan2, as wide as it is", "stylegan2", (), STEPS["stylegan2"], batch_size=32))
    regular = ("width=16", "max_width=32", "path_weight=0", "mixing=0", "gamma=3")
    usual.append(Run("stylegan2, R1 of 3", "stylegan2", regular, augment="none"))
    broken += [_small(f"{name}, G stands still", name, "g_lr=1e-9") for name in ("stylegan2", "latent")]
    broken.append(_small("stylegan2, G's rate 0.2", "stylegan2", "g_lr=0.2"))
    broken.append(_small("latent, G's rate 0.05", "latent", "g_lr=0.05"))
    broken.append(Run("vanilla, minimax", "vanilla", ("objective=minimax",)))
    broken.append(Run("dcgan, beta1 0.9, rates 3e-3", "dcgan", ("beta1=0.9", "g_lr=3e-3", "d_lr=3e-3")))
    broken.append(Run("vanilla, R1 2000", "vanilla", ("r1_gamma=2000",)))
    broken.append(Run("dcgan, D's rate 1e-5", "dcgan", ("d_lr=1e-5", "g_lr=2e-3")))
    return [replace(run, seed=seed) for run in (*usual, *broken)]


def _small(name: str, recipe: str, setting: str) -> Run:
    """A recipe at the size of SMALL with one setting that breaks it."""
    small = SMALL[recipe]
    return Run(name, recipe, **small | {"settings": (*small["settings"], setting), "steps": STEPS[recipe]})


def few_digits(folder: Path) -> Path:
    """So few scans that D can know them by heart."""
    folder.mkdir()
    for number, scan in enumerate(load_digits().images[:FEW_COUNT]):
        rendering.save_png(torch.tensor(scan * 255 / 16).byte()[None], folder / f"{number:03}.png", durable=False)
    return folder


def known(run: Run) -> dict[str, Any] | None:
    """The row of a run, under whatever name."""
    same = {**vars(run), "settings": list(run.settings)}
    del same["name"]
    rows = ({"batch_size": 64} | row for row in load())
    return next((row for row in rows if all(row[name] == value for name, value in same.items())), None)


def measured(run: Run, data_root: str | None) -> dict[str, Any]:
    """The row of a run, which is trained if there is none."""
    if row := known(run):
        return row
    row = _measure(run, data_root)
    RESULTS.write_text(json.dumps([*load(), row], indent=1) + "\n")
    alarm = first_alarm(row)
    print(run.name, run.seed, row.get("coverage", "diverged"), alarm and (alarm.failure, alarm.step), flush=True)
    return row


def _measure(run: Run, data_root: str | None) -> dict[str, Any]:
    """Train, evaluate, and keep what the watch saw, with the hyperparameters that were fitted to the data."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        data = str(few_digits(Path(scratch) / "few")) if run.data == FEW else run.data
        out = Path(scratch) / "runs"
        row: dict[str, Any] = {**vars(run), "settings": list(run.settings)}
        try:
            trained = train(
                data=data, recipe=run.recipe, settings=run.settings, steps=run.steps, seed=run.seed, threads=1,
                augment=run.augment, batch_size=run.batch_size, eval_every=0, data_root=data_root, out=str(out),
                progress="none", keep=1, save_every=10**6,
            )  # fmt: skip
            report = evaluate(
                trained.generator,
                data_root=data_root,
                data="digits" if run.data == FEW else None,
                n=2000,
                metrics=["coverage"],
            )
            row["coverage"] = report.figure("coverage").value
        except TrainingDiverged as error:
            row["diverged"] = str(error)
        folder = next(out.iterdir())
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        row["hyperparameters"] = load_toml(folder / "config.toml")["hyperparameters"]
    kept = [
        {name: round(value, 5) for name, value in line.items() if name == "step" or name.startswith(PREFIX)}
        for line in lines
    ]
    row["lines"] = [line for line in kept if len(line) > 1]
    machine = {"machine": platform.machine(), "torch": torch.__version__, "date": datetime.now(UTC).date().isoformat()}
    return row | machine


def load() -> list[dict[str, Any]]:
    """What has been measured."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else []


def verdict(row: dict[str, Any]) -> str:
    """failed, healthy or neither, by the evaluation alone; memorised for a few pictures without augmentation."""
    if row["data"] == FEW and row["augment"] == "none":
        return "memorised"
    if "diverged" in row or row["coverage"] < FAILED:
        return "failed"
    return "healthy" if row["coverage"] > HEALTHY else "neither"


def first_alarm(row: dict[str, Any]) -> Alarm | None:
    """What the watch would have said of the run first, with the thresholds of today."""
    alarms, _ = diagnose(row["lines"])
    return alarms[0] if alarms else None


def print_table() -> None:
    """Each run with its verdict and its first alarm, then the rates."""
    print("| run | of | seed | steps | coverage | verdict | first alarm | at step |\n|---|---|---|---|---|---|---|---|")
    for row in load():
        alarm = first_alarm(row)
        said = ("not finite", "") if "diverged" in row and not alarm else ("none", "")
        said = (alarm.failure, str(alarm.step)) if alarm else said
        coverage = f"{row['coverage']:.3f}" if "coverage" in row else "diverged"
        which = f"{row['name']} | {row['date']} | {row['seed']} | {row['steps']}"
        print(f"| {which} | {coverage} | {verdict(row)} | {' | '.join(said)} |")
    for seed in sorted({row["seed"] for row in load()}):
        print_rates(seed)


def print_rates(seed: int) -> None:
    """How many runs of each kind had an alarm, and after how many steps."""
    print(f"\n| seed {seed} | runs | with the right alarm | with a wrong one | median step |\n|---|---|---|---|---|")
    for kind in ("failed", "memorised", "healthy", "neither"):
        rows = [row for row in load() if row["seed"] == seed and verdict(row) == kind]
        alarms = [alarm for alarm in map(first_alarm, rows) if alarm]
        stopped = sum("diverged" in row and not first_alarm(row) for row in rows)
        right = [a for a in alarms if (a.failure == "memorising") == (kind == "memorised") and kind != "healthy"]
        steps = f"{median(alarm.step for alarm in alarms):.0f}" if alarms else ""
        print(f"| {kind} | {len(rows)} | {len(right) + stopped} | {len(alarms) - len(right)} | {steps} |")


def main() -> None:
    """Measure what is missing, or print what is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--data-root", default=os.environ.get("GANCLI_DATA_ROOT"))
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if not options.table:
        for run in (run for seed in options.seeds for run in runs(seed)):
            measured(run, options.data_root)
    print_table()


if __name__ == "__main__":
    main()
