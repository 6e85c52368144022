"""The result of a training run: its files, its verdict and the next commands."""

import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gancli.artifacts.run_folder import RunFolder
from gancli.runs.doctor import findings_of
from gancli.training.loop import Loop


@dataclass(frozen=True)
class TrainResult:
    """The files and the outcome of a finished run."""

    run: Path
    verdict: str
    """One line: failing (with failures and since when), healthy, or too short to judge."""
    generator: Path
    """The last step's averaged generator."""
    best_generator: Path | None
    """The averaged generator of the best evaluation; None without evaluations."""
    discriminator: Path
    samples: Path | None
    """The last grid; None if there is none."""
    steps: int
    images_seen: int
    seconds: float
    metrics: dict[str, float]
    """The last line of ``metrics.jsonl`` without its counters."""
    best: dict[str, Any]
    """Metric, value, step and checkpoint of the best evaluation; empty if there was none."""
    failures: dict[str, int]
    """Failures that show at the end, each with its first step."""
    alarms: list[dict[str, Any]]
    """Each failure that has shown: its newest alarm and its spells."""
    next_commands: tuple[str, ...]
    """Two commands to go on with."""

    def _repr_png_(self) -> bytes | None:
        """The last grid, which a notebook shows below the result; None if there is none."""
        return self.samples.read_bytes() if self.samples and self.samples.is_file() else None


def result_of(loop: Loop, folder: RunFolder) -> TrainResult:
    """The result of a training that has ended."""
    samples, watch = folder.sample(loop.state.step), loop.watch
    best_generator = folder.best_generator if loop.state.best and folder.best_generator.exists() else None
    return TrainResult(
        run=folder.path,
        verdict=watch.verdict,
        generator=folder.generator,
        best_generator=best_generator,
        discriminator=folder.discriminator,
        samples=samples if samples.exists() else None,
        steps=loop.state.step,
        images_seen=loop.step.images_seen,
        seconds=loop.state.seconds,
        metrics=loop.last_record.values if loop.last_record else {},
        best=_best(loop, folder),
        failures=dict(watch.present),
        alarms=[finding.as_dict() for finding in findings_of(watch.spells)],
        next_commands=_next_commands(folder, best_generator or folder.generator, bool(watch.present)),
    )


def _best(loop: Loop, folder: RunFolder) -> dict[str, Any]:
    if loop.state.best is None:
        return {}
    path = folder.checkpoint(loop.state.best.step)
    return asdict(loop.state.best) | {"checkpoint": path if path.exists() else None}


def _next_commands(folder: RunFolder, generator: Path, is_failing: bool) -> tuple[str, ...]:
    """Draw from the best generator; then diagnose a failing run, or evaluate the generator."""
    draw = ("gancli", "sample", str(generator), "--n", "64", "--out", str(folder.path / "drawn.png"))
    evaluation = shlex.join(("gancli", "eval", str(generator)))
    return shlex.join(draw), diagnosis_command(folder) if is_failing else evaluation


def diagnosis_command(folder: RunFolder) -> str:
    """The command that diagnoses a run."""
    return shlex.join(("gancli", "doctor", str(folder.path)))


def resume_command(folder: RunFolder, processes: int = 1) -> str:
    """The command that resumes an interrupted run."""
    start = ("torchrun", "--nproc-per-node", str(processes), "-m") if processes > 1 else ()
    return shlex.join((*start, "gancli", "train", "--resume", str(folder.path)))
