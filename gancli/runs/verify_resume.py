"""Verify on this machine that an interrupted and resumed run ends bitwise as an uninterrupted one."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gancli.artifacts import checkpoint
from gancli.artifacts.run_folder import RunFolder
from gancli.config import TrainConfig
from gancli.errors import GancliError, UsageError
from gancli.files import torch_file
from gancli.runs.train import train

STEPS = 40
"""Default length of the run."""
NOT_COMPARED = ("seconds",)
"""Endings of names that are not compared: times differ between any two runs."""


@dataclass(frozen=True)
class ResumeCheck:
    """The comparison of an uninterrupted run and a resumed one."""

    steps: int
    at: int
    """The step after which the second run was resumed in a new process."""
    compared: int
    """Number of compared values: those of the last checkpoint, of the metrics, and files."""
    differences: tuple[str, ...]
    """Names of values that are not bitwise the same."""

    @property
    def exact(self) -> bool:
        """True if nothing differs."""
        return not self.differences


def check_resume(
    config: str | Path | TrainConfig | None = None,
    *,
    at: int | None = None,
    settings: Sequence[str] = (),
    **options: Any,
) -> ResumeCheck:
    """Train ``steps`` (default 40) in a temporary folder, and resume a copy of it from step ``at`` (default half).

    Other arguments are those of `train`. The resumed part runs in a process of its own.

    Raises:
        UsageError: ``at`` is not between the first step and the last.
    """
    steps = options.pop("steps", None) or STEPS
    at = steps // 2 if at is None else at
    if not 0 < at < steps:
        raise UsageError(f"--at {at}: it must be more than 0 and less than the {steps} steps of --steps.")
    with tempfile.TemporaryDirectory(prefix="gancli-") as scratch:
        asked = {"log_every": 7} | options | {"out": scratch, "epochs": None, "keep": steps, "save_every": at}
        asked = {name: value for name, value in asked.items() if value is not None}
        whole = RunFolder(train(config, settings=settings, steps=steps, progress="none", **asked).run)
        resumed = _killed_after(at, whole, Path(scratch) / f"{whole.path.name}-resumed")
        _resume(resumed)
        compared, differences = compare(whole, resumed, steps)
    return ResumeCheck(steps, at, compared, tuple(differences))


def _killed_after(step: int, whole: RunFolder, path: Path) -> RunFolder:
    """A copy of the run, as if it had been killed after its checkpoint of this step."""
    shutil.copytree(whole.path, path, ignore=shutil.ignore_patterns(".lock*"))
    copied = RunFolder(path)
    for each in copied.checkpoints():
        if each != copied.checkpoint(step):
            each.unlink()
    copied.generator.unlink()
    copied.discriminator.unlink()
    return copied


def _resume(folder: RunFolder) -> None:
    command = [sys.executable, "-m", "gancli", "train", "--resume", str(folder.path), "--progress", "none", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise GancliError(f"the resumed run failed: {last}")


def compare(whole: RunFolder, resumed: RunFolder, steps: int) -> tuple[int, list[str]]:
    """The number of values that two finished runs wrote, and the names of those that differ.

    Values are the tensors and counters of the last checkpoint, the metrics, the grids and the network files.
    """
    sides = [_facts(folder, steps) for folder in (whole, resumed)]
    names = list(dict.fromkeys([*sides[0], *sides[1]]))
    return len(names), [name for name in names if not _same(*(side.get(name) for side in sides))]


def _facts(folder: RunFolder, steps: int) -> dict[str, Any]:
    """Every value that a run writes and that must not depend on an interruption."""
    content = torch_file.load(folder.checkpoint(steps), checkpoint.KIND, checkpoint.VERSION)
    values = dict(_leaves(content, ""))
    for text in folder.metrics.read_text().splitlines():
        line = json.loads(text)
        values |= {f"metrics of step {line['step']}: {name}": value for name, value in line.items()}
    kept = (folder.generator, folder.discriminator, *folder.sample(steps).parent.glob("*.png"))
    files = {path.name: path.read_bytes() for path in kept}
    return {name: value for name, value in values.items() if not name.endswith(NOT_COMPARED)} | files


def _leaves(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    """The values of nested dictionaries and lists with their paths, such as ``state.g.project.weight``."""
    pairs = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else ()
    if not pairs:
        yield where, value
    for name, part in pairs:
        yield from _leaves(part, f"{where}.{name}" if where else str(name))


def _same(first: Any, second: Any) -> bool:
    """True if bitwise equal, so that a tensor with NaN equals itself."""
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        if (first.dtype, first.shape) != (second.dtype, second.shape):
            return False
        return first.contiguous().numpy().tobytes() == second.contiguous().numpy().tobytes()
    return type(first) is type(second) and first == second
