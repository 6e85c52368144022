"""Kills runs at random moments, resumes them, and compares each end with an unbroken run's, bit for bit.

    python benchmarks/torture.py --kills 200 --seed 0

Nine kills of ten are SIGKILL, the others SIGTERM or SIGINT. A moment is uniform over the time that an unbroken run
takes, start-up and writing included. TensorBoard's scalars are compared too. Writes benchmarks/torture.json.
"""

import argparse
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gancli.artifacts.run_folder import RunFolder
from gancli.runs.verify_resume import NOT_COMPARED, compare

RESULTS = Path(__file__).with_suffix(".json")
STEPS = 300
RECIPES = {
    "vanilla": [],
    "dcgan": ["--set", "width=8"],
    "r3gan": ["--augment", "ada"],
    "progressive": ["--set", "width=4"],
}
LENGTH = ["--steps", str(STEPS), "--batch-size", "16"]
FILES = ["--log-every", "7", "--save-every", "20", "--sample-every", "60", "--eval-every", "100", "--keep", "2"]
QUIET = ["--threads", "1", "--progress", "none", "--quiet"]
SIGNALS = [signal.SIGKILL] * 18 + [signal.SIGTERM, signal.SIGINT]


def command(out: Path, *more: str) -> list[str]:
    """A run, or the rest of one, in a process of its own."""
    return [sys.executable, "-m", "gancli", "train", "--out", str(out), *QUIET, *more]


def only_run(out: Path) -> RunFolder | None:
    """The run under a folder, if there is one yet; one that died before its configuration was written is none."""
    runs = sorted(out.glob("0*/config.toml"))
    return RunFolder(runs[0].parent) if runs else None


def scalars(folder: RunFolder) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows of a run, but for the time that it took."""
    events = EventAccumulator(str(folder.tensorboard), size_guidance={"scalars": 0})
    events.Reload()
    return {
        tag: [(e.step, e.value) for e in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
        if not tag.endswith(NOT_COMPARED)
    }


def unbroken(out: Path, recipe: str) -> tuple[RunFolder, float]:
    """A run that nobody kills, and the seconds it took."""
    began = time.perf_counter()
    subprocess.run(command(out, "--recipe", recipe, *RECIPES[recipe], *LENGTH, *FILES), check=True, capture_output=True)
    folder = only_run(out)
    assert folder is not None
    return folder, time.perf_counter() - began


def torture(out: Path, recipe: str, kills: int, longest: float, draw: random.Random) -> dict[str, Any]:
    """Kill one run so many times, let it end, and say how it was hit."""
    hit: Counter[str] = Counter()
    while True:
        folder = only_run(out)
        start = ["--resume", str(folder.path)] if folder else ["--recipe", recipe, *RECIPES[recipe], *LENGTH, *FILES]
        process = subprocess.Popen(command(out, *start), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        if hit.total() < kills:
            try:
                process.wait(draw.uniform(0, longest))
            except subprocess.TimeoutExpired:
                number = draw.choice(SIGNALS)
                process.send_signal(number)
                hit[number.name] += 1
        _, errors = process.communicate()
        if "Traceback" in errors or process.returncode in (1, 2):
            raise SystemExit(f"{recipe} was left in a state that cannot be resumed:\n{errors}")
        if process.returncode == 0:
            return {"kills": dict(hit)}


def main() -> None:
    """Torture every recipe in turn until the kills are used up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--each", type=int, default=10, help="kills of one run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="write benchmarks/torture.json")
    options = parser.parse_args()
    draw, runs = random.Random(options.seed), []
    with tempfile.TemporaryDirectory() as scratch:
        whole = {}
        while (done := sum(sum(run["kills"].values()) for run in runs)) < options.kills:
            recipe = list(RECIPES)[len(runs) % len(RECIPES)]
            if recipe not in whole:
                whole[recipe] = unbroken(Path(scratch) / recipe, recipe)
            reference, seconds = whole[recipe]
            out = Path(scratch) / f"{len(runs)}"
            run = torture(out, recipe, min(options.each, options.kills - done), seconds, draw)
            broken = only_run(out)
            assert broken is not None
            compared, differences = compare(reference, broken, STEPS)
            if scalars(reference) != scalars(broken):
                differences.append("tensorboard")
            runs.append({"recipe": recipe, **run, "compared": compared, "differences": differences})
            print(runs[-1], flush=True)
    failed = [run for run in runs if run["differences"]]
    hit = sum((Counter(run["kills"]) for run in runs), Counter())
    print(f"{hit.total()} kills of {len(runs)} runs: {len(failed)} ended otherwise than the unbroken one")
    if options.write:
        facts = {
            "machine": platform.machine(), "torch": torch.__version__, "date": datetime.now(UTC).date().isoformat(),
            "seed": options.seed, "steps": STEPS, "kills": dict(hit), "runs": runs,
        }  # fmt: skip
        RESULTS.write_text(json.dumps(facts, indent=1) + "\n")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
