"""What parts of the measurements on a GPU share: what they are asked for, and rows that survive a broken run."""

import argparse
import json
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parent.parent
Row = dict[str, Any]
Tasks = dict[str, Callable[[], Row]]
"""Each task of a part by its name; it returns the figures of its row."""
LONGEST_MESSAGE = 600


class Skipped(Exception):
    """A task that cannot be done here and need not be; its row says why."""


@dataclass(frozen=True)
class Asked:
    """What the command line asks of every part."""

    device: torch.device
    tiny: bool
    """Sizes for a CPU, so that everything runs in minutes without a GPU."""
    minutes: tuple[float, ...]
    """Of each training run; the last number holds for all further ones."""
    emoji: Path
    cifar: Path
    emoji_flags: str
    """Further flags of the training run on emoji."""
    files: Path
    """Folder for logs, runs and pictures."""
    ends: float
    """Time of the clock at which the part must have ended."""

    @property
    def seconds_left(self) -> float:
        """Until the part must have ended."""
        return self.ends - time.time()


def commit() -> str:
    """The commit that is measured; "unknown" outside a repository."""
    command = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def card_of(device: torch.device) -> str:
    """The name of the card, or "cpu"."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def facts(options: argparse.Namespace) -> Row:
    """What every row says of its circumstances."""
    return {"card": card_of(options.device), "torch": torch.__version__, "commit": options.commit or commit()}


def same(row: Row, other: Row) -> bool:
    """Whether two rows are of the same task on the same card, at whatever commit."""
    return all(row.get(name) == other.get(name) for name in ("part", "name", "card"))


def read(path: Path) -> list[Row]:
    """The rows of a result file, or of a file with a row a line; none if there is no such file."""
    if not path.exists():
        return []
    text = path.read_text()
    return [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else json.loads(text)["rows"]


def write(path: Path, rows: list[Row], new: list[Row]) -> list[Row]:
    """Put new rows in the place of older ones, into the file; returns all."""
    kept = [row for row in rows if not any(same(row, other) for other in new)] + new
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{"rows": [\n' + ",\n".join(json.dumps(row) for row in kept) + "\n]}\n")
    return kept


def without_folders(value: Any) -> Any:
    """The same row, list or text with the last name alone of each absolute path, which would tell of a machine."""
    if isinstance(value, dict):
        return {name: without_folders(each) for name, each in value.items()}
    if isinstance(value, list):
        return [without_folders(each) for each in value]
    return re.sub(r"(?<![\w.:/])/(?:[^\s'\":,;()\[\]/]+/)+", "", value) if isinstance(value, str) else value


def is_done(row: Row) -> bool:
    """Whether a task need not be done again: it ended, and without an error."""
    return "error" not in row and row.get("exit_code") != "cut off"


def do(part: str, tasks: Tasks, known: list[Row], circumstances: Row, asked: Asked, path: Path) -> None:
    """Do the tasks that are not known yet until the time is over, adding a line to ``path`` after each.

    A task that fails leaves its message. One that is cut short by the end of the time leaves no row, and is done
    the next time.
    """
    for name, task in tasks.items():
        row = {"part": part, "name": name, **circumstances}
        if any(same(row, other) and other["commit"] == row["commit"] and is_done(other) for other in known):
            continue
        if asked.seconds_left <= 0:
            print(f"{part}: no time for {name}", flush=True)
            continue
        began = time.perf_counter()
        try:
            row |= task()
        except (TimeoutError, subprocess.TimeoutExpired):
            print(f"{part}: too little time for {name}", flush=True)
            continue
        except Skipped as reason:
            row["skipped"] = str(reason)
        except Exception as error:  # whatever it is, the other tasks go on
            row["error"] = f"{type(error).__name__}: {error}"[:LONGEST_MESSAGE]
        row |= {"seconds": round(time.perf_counter() - began, 1), "date": datetime.now(UTC).date().isoformat()}
        row = without_folders(row)
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)
