"""How often a remedy helps: runs that fail, each repeated with every flag that the doctor would print for it.

    python benchmarks/health_remedies.py --data-root DIR
    python benchmarks/health_remedies.py --table

A remedy helped if the repeated run ends without any failure that the watch sees, and with a coverage that benchmarks/
health.py calls healthy. benchmarks/health_remedies.json keeps what was measured; runs that it has are not repeated.
gancli/health/trials.py has the counts, for the doctor.
"""

import argparse
import json
import os
import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from health import FEW, HEALTHY, Run, measure

from gancli.health.remedies import REMEDIES
from gancli.health.trials import Trials
from gancli.health.watch import watched

RESULTS = Path(__file__).with_suffix(".json")
FAILING: Mapping[str, tuple[Run, ...]] = {
    "collapse": (Run("vanilla", "vanilla"),),
    "vanishing-gradient": (Run("vanilla, minimax", "vanilla", ("objective=minimax",)),),
    "discriminator-won": (
        Run("vanilla, minimax", "vanilla", ("objective=minimax",)),
        Run("vanilla, weak R1", "vanilla", ("objective=minimax", "r1_gamma=0.01")),
    ),
    "memorising": (Run(f"r3gan alone on {FEW}", "r3gan", data=FEW, augment="none"),),
    "discriminator-held-down": (Run("r3gan, gamma 400", "r3gan", ("gamma=400.0",)),),
    "dead-generator": (Run("r3gan, G's rate 0.05", "r3gan", ("g_lr=0.05",)),),
    "discriminator-lost": (Run("began", "began"),),
}
"""Runs that show a failure, for each that a few minutes of one core can bring about."""
SEEDS = (0, 1)


def with_flag(run: Run, flag: str) -> Run:
    """The run with a flag of the doctor's; another recipe takes its own hyperparameters.

    Example:
        >>> with_flag(Run("a", "vanilla", ("d_lr=1",)), "--set r1_gamma=20").settings
        ('d_lr=1', 'r1_gamma=20')
    """
    words = shlex.split(flag.replace("--set ", "--set="))
    settings = tuple(word.removeprefix("--set=") for word in words if word.startswith("--set="))
    if settings:
        return replace(run, settings=(*run.settings, *settings))
    name, value = words
    match name:
        case "--recipe":
            return replace(run, recipe=value, settings=())
        case "--batch-size" | "--seed":
            return replace(run, **{name.removeprefix("--").replace("-", "_"): int(value)})
        case "--augment":
            return replace(run, augment=value)
    raise ValueError(f"{flag} cannot be tried")


def trial(failure: str, remedy: str, flag: str, run: Run, row: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a run with a remedy, or of the one without (an empty remedy)."""
    watch = watched(row["lines"])
    is_sound = not watch.present and row.get("coverage", 0.0) > HEALTHY
    kept = {name: row[name] for name in ("coverage", "diverged", "machine", "torch", "date") if name in row}
    shown = sorted({spell.alarm.failure for spell in watch.spells})
    head = {"failure": failure, "remedy": remedy, "flag": flag, "run": run.name, "seed": run.seed, "steps": run.steps}
    return head | {"alarms": shown, "is_sound": is_sound} | kept


def load() -> list[dict[str, Any]]:
    """What has been measured."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else []


def key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a row is of."""
    return tuple(row[name] for name in ("failure", "remedy", "run", "seed"))


def keep(row: dict[str, Any]) -> None:
    """Add a row to the file."""
    RESULTS.write_text(json.dumps([*load(), row], indent=1) + "\n")
    print(row["failure"], row["run"], row["seed"], row["flag"], row["alarms"], row.get("coverage"), flush=True)


def try_out(failure: str, run: Run, data_root: str | None) -> None:
    """Let a run fail, then repeat it with each of the failure's remedies."""
    done = {key(row): row for row in load()}
    if (failure, "", run.name, run.seed) not in done:
        row, config = measure(run, data_root)
        flags = {remedy.name: remedy.flag(config) for remedy in REMEDIES[failure]}
        keep(trial(failure, "", "", run, row) | {"flags": {k: v for k, v in flags.items() if v and v[:2] == "--"}})
        done = {key(row): row for row in load()}
    base = done[failure, "", run.name, run.seed]
    for name, flag in base["flags"].items() if failure in base["alarms"] else ():
        if (failure, name, run.name, run.seed) not in done and " with " not in flag:
            keep(trial(failure, name, flag, run, measure(with_flag(run, flag), data_root)[0]))


def counts() -> dict[str, dict[str, Trials]]:
    """By failure and remedy, how often it helped."""
    rows = [row for row in load() if row["remedy"]]
    runs = Counter((row["failure"], row["remedy"]) for row in rows)
    helped = Counter((row["failure"], row["remedy"]) for row in rows if row["is_sound"])
    return {
        failure: {name: Trials(helped[failure, name], runs[failure, name]) for f, name in runs if f == failure}
        for failure, _ in runs
    }


def print_table() -> None:
    """Each failure's remedies, with the runs that they helped."""
    print("| failure | remedy | helped |\n|---|---|---|")
    for failure, remedies in counts().items():
        for name, trials in remedies.items():
            print(f"| {failure} | {name} | {trials.helped} of {trials.runs} |")


def main() -> None:
    """Try what is missing, or print what is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", default=os.environ.get("GANCLI_DATA_ROOT"))
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if not options.table:
        for seed in SEEDS:
            for failure, runs in FAILING.items():
                for run in runs:
                    try_out(failure, replace(run, seed=seed), options.data_root)
    print_table()


if __name__ == "__main__":
    main()
