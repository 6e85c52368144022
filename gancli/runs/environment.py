"""What a run was made with, in ``environment.json``."""

import json
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from gancli import config as configuration
from gancli.artifacts.run_folder import RunFolder
from gancli.files.atomic import write_text_atomically
from gancli.machine import devices
from gancli.machine.cores import processor
from gancli.runs.prepare import Prepared
from gancli.version import __version__


def describe(prepared: Prepared, folder: RunFolder) -> None:
    """Write what repeats the run, and what it was made with."""
    write_text_atomically(folder.config, configuration.dump_toml(prepared.config))
    if prepared.dataset.skipped:
        lines = [json.dumps({"file": name, "reason": reason}) for name, reason in prepared.dataset.skipped]
        write_text_atomically(folder.path / "skipped.jsonl", "\n".join(lines) + "\n")
    write_environment(folder, facts_of(prepared))


def write_environment(folder: RunFolder, facts: dict[str, Any]) -> None:
    """Record when and with what this part of the run was started, in ``environment.json``, after earlier parts."""
    path = folder.path / "environment.json"
    try:
        parts = json.loads(path.read_text())["parts"]
    except (OSError, ValueError, KeyError, TypeError):
        parts = []
    part = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "gancli": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": processor(),
        "git": _git_commit(),
        **facts,
    }
    write_text_atomically(path, json.dumps({"parts": [*parts, part]}, indent=2) + "\n")


def _git_commit() -> str | None:
    """The commit of the checkout that gancli runs from, if it runs from one."""
    git = Path(__file__).resolve().parents[1] / ".git"
    try:
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        loose = git / name
        if loose.is_file():
            return loose.read_text().strip()
        packed = (git / "packed-refs").read_text().splitlines()
        return next(line.split()[0] for line in packed if line.endswith(f" {name}"))
    except (OSError, StopIteration):
        return None


def facts_of(prepared: Prepared) -> dict[str, Any]:
    """What the run computes with, and the data it sees."""
    return {
        "torch": torch.__version__,
        "device": devices.describe(prepared.device),
        "threads": torch.get_num_threads(),
        "matmul": prepared.config.matmul,
        "compile": prepared.config.compile,
        "way": prepared.step.way,
        "data": prepared.dataset.name,
        "fingerprint": prepared.dataset.fingerprint,
        "pictures": dict(prepared.dataset.options),
        "step": prepared.step.state.step,
    }
