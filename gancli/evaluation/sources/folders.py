"""Folders that evaluations are written to: reports as JSON, plots as PNG. Nothing that exists is replaced."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from gancli.errors import UsageError
from gancli.evaluation import Report, load_report, plots
from gancli.files.atomic import write_text_atomically

NUMBERED = re.compile(r"evaluation-(\d{4,})")
REPORT = re.compile(r"step-(\d+)\.json")


def next_folder(run: Path) -> Path:
    """The next free ``evaluation-0001`` of a run."""
    return run / f"evaluation-{max((number for number, _ in _numbered(run)), default=0) + 1:04}"


def require_free(folder: Path) -> None:
    """UsageError if something is there already."""
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise UsageError(f"--out {folder} exists already; name another folder.")


def write_report(folder: Path, report: Report, drawn: plots.PlottedImages | None = None) -> None:
    """``report.json`` and the plots of one evaluation."""
    write_text_atomically(folder / "report.json", json.dumps(report.as_dict(), indent=1) + "\n")
    plots.report_plots(folder, report, drawn)


def write_curve(folder: Path, reports: Sequence[tuple[int, Report]]) -> None:
    """``step-000400.json`` of each checkpoint and ``curve.png``."""
    for step, report in reports:
        write_text_atomically(folder / f"step-{step:06}.json", json.dumps(report.as_dict(), indent=1) + "\n")
    plots.curve(folder / "curve.png", reports)


def report_of(path: Path) -> Report:
    """A report file, or the newest evaluation of a run: of its last checkpoint; UsageError if there is none."""
    if not path.is_dir():
        return load_report(path)
    if (path / "report.json").is_file():
        return load_report(path / "report.json")
    for _, folder in sorted(_numbered(path), reverse=True):
        numbered = sorted((int(m[1]), file) for file in folder.iterdir() if (m := REPORT.fullmatch(file.name)))
        if numbered:
            return load_report(numbered[-1][1])
    raise UsageError(f"{path} has no evaluation; make one with gancli eval --run {path}.")


def _numbered(run: Path) -> list[tuple[int, Path]]:
    matches = ((NUMBERED.fullmatch(path.name), path) for path in run.iterdir() if path.is_dir())
    return [(int(match[1]), path) for match, path in matches if match]
