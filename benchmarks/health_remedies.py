"""How often a remedy helps: runs that fail, each repeated with every flag that the doctor would print for it.

    python benchmarks/health_remedies.py --data-root DIR
    python benchmarks/health_remedies.py --judge    # of the runs that are there already
    python benchmarks/health_remedies.py --table

A remedy helped if the repeated run ends without any failure that the watch sees, and with a coverage that benchmarks/
health.py calls healthy. benchmarks/health.json keeps the runs, which are not repeated, and
benchmarks/health_remedies.json the outcomes. gancli/health/trials.py has their counts, for the doctor.
"""

import argparse
import json
import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from health import FEW, HEALTHY, STEPS, Run, known, measured

from gancli.health.remedies import REMEDIES
from gancli.health.trials import Trials
from gancli.health.watch import watched

RESULTS = Path(__file__).with_suffix(".json")
MINIMAX = Run("vanilla, minimax", "vanilla", ("objective=minimax",))
ON_MNIST = Run("vanilla on MNIST", "vanilla", steps=1000, data="mnist")
FAILING: Mapping[str, tuple[Run, ...]] = {
    "memorising": (Run(f"r3gan alone on {FEW}", "r3gan", data=FEW, augment="none"),),
    "collapse": (Run("vanilla", "vanilla"), ON_MNIST),
    "discriminator-held-down": (Run("vanilla, R1 2000", "vanilla", ("r1_gamma=2000",)),),
    "vanishing-gradient": (MINIMAX,),
    "discriminator-won": (MINIMAX, ON_MNIST),
    "dead-generator": (Run("r3gan, G's rate 0.05", "r3gan", ("g_lr=0.05",)),),
    "oscillation": (Run("dcgan, D's rate 1e-5", "dcgan", ("d_lr=1e-5", "g_lr=2e-3")),),
    "discriminator-lost": (Run("began", "began"),),
}
"""Runs that show a failure, for each that a few minutes of one core can bring about."""


def with_flag(run: Run, flag: str) -> Run:
    """The run with a flag of the doctor's; another recipe takes its own hyperparameters.

    Example:
        >>> with_flag(Run("a", "vanilla", ("d_lr=1",)), "--set r1_gamma=20").settings
        ('d_lr=1', 'r1_gamma=20')
    """
    named = replace(run, name=f"{run.name} with {flag}")
    words = shlex.split(flag.replace("--set ", "--set="))
    told = [word.removeprefix("--set=") for word in words if word.startswith("--set=")]
    if told:
        settings = {each.split("=")[0]: each for each in (*run.settings, *told)}
        return replace(named, settings=tuple(settings.values()))
    name, value = words
    match name:
        case "--recipe":
            name = value if run.data == "digits" else f"{value} on {run.data}"
            return replace(run, name=name, recipe=value, settings=(), steps=STEPS.get(value, run.steps))
        case "--batch-size" | "--seed":
            return replace(named, **{name.removeprefix("--").replace("-", "_"): int(value)})
        case "--augment":
            return replace(named, augment=value)
    raise ValueError(f"{flag} cannot be tried")


def flags_for(failure: str, row: Mapping[str, Any]) -> dict[str, str]:
    """What the doctor would print for a run, by remedy; only what a run can be given as it stands."""
    flags = {remedy.name: remedy.flag(row) for remedy in REMEDIES[failure]}
    return {name: flag for name, flag in flags.items() if flag and flag.startswith("--") and " on " not in flag}


def outcomes(failure: str, run: Run, row_of: Callable[[Run], dict[str, Any] | None]) -> Iterator[dict[str, Any]]:
    """Let a run fail, then repeat it with each of the failure's remedies; nothing if it does not show the failure."""
    row = row_of(run)
    if row is None or failure not in {spell.alarm.failure for spell in watched(row["lines"]).spells}:
        print(f"{run.name}, seed {run.seed}: {'not measured' if row is None else f'does not show {failure}'}")
        return
    for name, flag in flags_for(failure, row).items():
        if repeated := row_of(with_flag(run, flag)):
            watch, coverage = watched(repeated["lines"]), repeated.get("coverage")
            head = {"failure": failure, "remedy": name, "flag": flag, "run": run.name, "seed": run.seed}
            seen = {"coverage": coverage, "still": sorted(watch.present), "date": repeated["date"]}
            yield head | {"helped": not watch.present and coverage is not None and coverage > HEALTHY} | seen


def elsewhere() -> Iterator[dict[str, Any]]:
    """The outcomes of benchmarks/vanilla_mnist.py: the tutorial's GAN, which D wins and which collapses, with R1."""
    for row in json.loads(RESULTS.with_name("vanilla_mnist.json").read_text()):
        if row["hyperparameters"] == {"r1_gamma": 20.0}:
            coverage = next(value for name, value in row["figures"].items() if name.startswith("coverage"))
            told = {"remedy": "R1", "flag": "--set r1_gamma=20", "run": row["row"], "seed": row["seed"]}
            seen = {"coverage": coverage, "date": row["date"]}
            for failure in ("collapse", "discriminator-won"):
                yield {"failure": failure} | told | {"helped": coverage > HEALTHY} | seen


def load() -> list[dict[str, Any]]:
    """What has been measured."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else []


def counts() -> dict[str, dict[str, Trials]]:
    """By failure and remedy, how often it helped."""
    counted: dict[str, dict[str, Trials]] = {}
    for row in load():
        helped, runs = counted.setdefault(row["failure"], {}).get(row["remedy"], (0, 0))
        counted[row["failure"]][row["remedy"]] = Trials(helped + row["helped"], runs + 1)
    return counted


def print_table() -> None:
    """Each failure's remedies, with the runs that they helped."""
    print("| failure | remedy | helped |\n|---|---|---|")
    for failure, remedies in counts().items():
        for name, trials in remedies.items():
            print(f"| {failure} | {name} | {trials.helped} of {trials.runs} |")


def main() -> None:
    """Try what is missing, or print what is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--data-root", default=os.environ.get("GANCLI_DATA_ROOT"))
    parser.add_argument("--judge", action="store_true")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if not options.table:
        row_of = known if options.judge else partial(measured, data_root=options.data_root)
        rows = list(elsewhere())
        for seed, (failure, runs) in product(options.seeds, FAILING.items()):
            for run in runs:
                for row in outcomes(failure, replace(run, seed=seed), row_of):
                    rows.append(row)
                    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
    print_table()


if __name__ == "__main__":
    main()
