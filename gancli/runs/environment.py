"""Record software, machine and data of a run in ``environment.json``."""

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
    """Write ``config.toml``, ``skipped.jsonl`` (if pictures were skipped) and ``environment.json``."""
    resolved = prepared.resolved
    write_text_atomically(folder.config, configuration.dump_toml(resolved.config))
    if resolved.dataset.skipped:
        lines = [json.dumps({"file": name, "reason": reason}) for name, reason in resolved.dataset.skipped]
        write_text_atomically(folder.path / "skipped.jsonl", "\n".join(lines) + "\n")
    write_environment(folder, facts_of(prepared))


def write_environment(folder: RunFolder, facts: dict[str, Any]) -> None:
    """Append this part of the run to ``environment.json``; each resume adds one."""
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
    """The commit of gancli's checkout; None if it does not run from one."""
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
    """Device, arithmetic and data of the run."""
    resolved = prepared.resolved
    config, dataset = resolved.config, resolved.dataset
    return {
        "torch": torch.__version__,
        "device": devices.describe(resolved.device),
        "threads": torch.get_num_threads(),
        "matmul": config.matmul,
        "compile": config.compile,
        "way": prepared.step.way,
        "data": dataset.name,
        "fingerprint": dataset.fingerprint,
        "pictures": dict(dataset.options),
        "step": prepared.step.state.step,
    }
