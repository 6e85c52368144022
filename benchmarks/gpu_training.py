"""Runs of some minutes on a GPU with gancli's own choices, and the pictures that they leave."""

import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

from gpu_rows import ROOT, Asked, Row, Tasks
from PIL import Image

STEPS_TIMED = 1000
SHOWN = 4
"""Grids of a run, evenly spaced, that are kept."""
START = 25.0
"""Seconds in which a run begins to train: what it compiles is kept from the dry run."""
GRACE = 15.0
"""Seconds in which an interrupted run saves."""


def train(asked: Asked) -> Tasks:
    """The default for fluent-emoji at 128 and for CIFAR-10, in bf16 and compiled, unless flags say otherwise."""
    own = asked.emoji_flags.split()
    if asked.tiny:
        small = ["--image-size", "16", "--recipe", "dcgan", "--set", "width=8", "--batch-size", "4", "--holdout", "0.9"]
        return {"fluent-emoji 16": partial(_train, asked.emoji, [*small, *own], asked.minutes[0], asked)}
    fast = ["--precision", "bf16", "--compile", "on"]
    emoji, cifar = ["--image-size", "128", *fast, *own], ["--image-size", "32", *fast]
    return {
        " ".join(["fluent-emoji 128", *own]): partial(_train, asked.emoji, emoji, asked.minutes[0], asked),
        "cifar10 32": partial(_train, asked.cifar, cifar, asked.minutes[-1], asked),
    }


def _train(data: Path, flags: list[str], minutes: float, asked: Asked) -> Row:
    """As many steps as a dry run says that the minutes are enough for; stopped, with its state saved, if they are not.

    The pictures are put below each other into one PNG.
    """
    command = ["--data", str(data), "--device", str(asked.device), *flags, "--json"]
    planned = json.loads(_gancli(["--dry-run", "--steps", str(STEPS_TIMED), *command], asked.seconds_left))
    seconds = min(60 * minutes, asked.seconds_left - START - GRACE)
    if seconds <= 0:
        raise TimeoutError("no time is left for the run")
    steps = max(2, int(seconds / planned["seconds"] * STEPS_TIMED))
    out = asked.files / "runs"
    more = ["--steps", str(steps), "--out", str(out), "--progress", "none"]
    said = _gancli([*more, *command], asked.seconds_left - GRACE)
    run = max(out.iterdir(), key=lambda path: path.stat().st_mtime)
    picture = _below_each_other(run, asked.files / f"train-{run.name}.png")
    figures: dict[str, Any] = json.loads(said) if said else _so_far(run)
    kept = ("steps", "images_seen", "seconds", "metrics", "best")
    return {
        "recipe": planned["config"]["recipe"],
        "parameters": planned["generator_parameters"] + planned["discriminator_parameters"],
        "planned_steps": steps,
        "pictures": picture.name,
        "run": {name: figures[name] for name in ("interrupted", *kept) if name in figures},
    }


def _so_far(run: Path) -> dict[str, Any]:
    """What an interrupted run measured last."""
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return {"interrupted": True, "metrics": json.loads(lines[-1]) if lines else {}}


def _gancli(flags: list[str], seconds: float) -> str:
    """What ``gancli train`` prints; interrupted, as by Ctrl-C, after so many seconds."""
    command = [sys.executable, "-m", "gancli", "train", *flags]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            said, complaints = process.communicate(timeout=max(1.0, seconds))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=GRACE)
            return ""
    if process.returncode:
        raise RuntimeError((complaints.strip().splitlines() or [f"exit code {process.returncode}"])[-1])
    return said


def _below_each_other(run: Path, path: Path) -> Path:
    grids = sorted((run / "samples").glob("*.png"))
    chosen = [grids[round(i * (len(grids) - 1) / max(1, SHOWN - 1))] for i in range(min(SHOWN, len(grids)))]
    opened = [Image.open(grid).convert("RGB") for grid in chosen]
    whole = Image.new("RGB", (max(i.width for i in opened), sum(i.height for i in opened)))
    top = 0
    for image in opened:
        whole.paste(image, (0, top))
        top += image.height
    whole.save(path)
    return path
