"""Reports of evaluations as a table, as CSV and as JSON."""

import csv
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from gancli.evaluation import Report
    from gancli.evaluation.comparing import Row

COLUMNS = ("metric", "name", "value", "error", "baseline", "baseline_error", "n", "better")


def new_table(columns: Sequence[str], left: Sequence[str]) -> "Table":
    """An empty table without frames; columns that are not ``left`` are aligned to the right."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE)
    for column in columns:
        table.add_column(column, justify="left" if column in left else "right")
    return table


def with_error(value: float | None, error: float | None) -> str:
    """``0.123 ± 0.004``, or what there is of it."""
    if value is None:
        return "-"
    return f"{value:.4g}" if error is None else f"{value:.4g} ± {error:.1g}"


def print_report(report: "Report") -> None:
    """The figures as a table, then what they say, then what a reader should beware of."""
    from rich.console import Console

    table = new_table(("metric", "generated", "real", "N", "better"), ("metric", "better"))
    for figure in report.figures:
        ours, real = with_error(figure.value, figure.error), with_error(figure.baseline, figure.baseline_error)
        table.add_row(figure.name, ours, real, f"{figure.n:,}", figure.better)
    Console(width=max(80, 58 + max(len(figure.name) for figure in report.figures))).print(table)
    for finding in report.findings:
        print(f"finding: {finding}")
    if report.accuracy is not None:
        print(f"features: {report.extractor}, whose accuracy on the held-out images is {100 * report.accuracy:.1f} %.")
    print("real: real images in place of the generated ones, at the same N; ±: standard error over sets.")
    if report.per_class:
        shares = ", ".join(f"{name} {100 * share:.0f}" for name, share in report.per_class.items())
        print(f"images taken for the class that was asked for, in %: {shares}")
    for warning in report.warnings:
        print(f"note: {warning}")
    if report.seconds:
        print(f"time: {sum(report.seconds.values()):.1f} s")


def print_json(reports: "Sequence[tuple[int, Report]] | Report") -> None:
    """One object: a report, or ``{"checkpoints": [{"step": ..., ...}, ...]}``."""
    if isinstance(reports, Sequence):
        print(json.dumps({"checkpoints": [{"step": step} | report.as_dict() for step, report in reports]}))
    else:
        print(json.dumps(reports.as_dict()))


def print_csv(reports: "Sequence[tuple[int | None, Report]]") -> None:
    """A line for each figure; the step of the checkpoint comes first where there is one."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    stepped = any(step is not None for step, _ in reports)
    writer.writerow([*(["step"] if stepped else []), *COLUMNS])
    for step, report in reports:
        for figure in report.as_dict()["figures"]:
            writer.writerow([*([step] if stepped else []), *(figure[column] for column in COLUMNS)])


def print_curve(reports: "Sequence[tuple[int, Report]]") -> None:
    """A row for each checkpoint, a column for each metric."""
    from rich.console import Console

    figures = reports[-1][1].figures
    table = new_table(("step", *(figure.metric for figure in figures)), ())
    for step, report in reports:
        table.add_row(str(step), *(with_error(each.value, each.error) for each in report.figures))
    table.add_row("real", *(with_error(each.baseline, each.baseline_error) for each in figures))
    Console(width=max(80, 16 * (len(figures) + 1))).print(table)
    print(f"features: {figures[0].name.removeprefix(figures[0].metric + '_')}; N = {figures[0].n:,}.")
    for finding in reports[-1][1].findings:
        print(f"finding (last checkpoint): {finding}")


def print_comparison(rows: "Sequence[Row]", names: Sequence[str]) -> None:
    """A row for each metric; marks say which differ from the first."""
    from rich.console import Console

    table = new_table(("metric", *names, "real", "better"), ("metric", "better"))
    for row in rows:
        marks = ["", *(" *" if each.better else " x" if each.better is False else "" for each in row.differences)]
        values = [with_error(f.value, f.error) + mark for f, mark in zip(row.figures, marks, strict=True)]
        first = row.figures[0]
        table.add_row(first.name, *values, with_error(first.baseline, first.baseline_error), first.better)
    Console(width=max(80, 44 + 24 * (len(names) + 1))).print(table)
    print(f"*: better than {names[0]}, x: worse (Welch's test over the sets, p < .05 corrected for all comparisons).")
    print("It knows the error of sampling alone: other training seeds may differ by more.")
    if any(each.probability is None for row in rows for each in row.differences):
        print("note: figures of a single set have no error bars and are not tested; evaluate with --sets 3 or more.")
