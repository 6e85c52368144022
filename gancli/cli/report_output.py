"""Reports of evaluations as a table, as CSV and as JSON."""

import csv
import json
import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table

    from gancli.evaluation import Figure, Report
    from gancli.evaluation.comparing import Row

COLUMNS = ("metric", "name", "value", "error", "baseline", "baseline_error", "n", "better", "times_real")
COLUMNS_OF_A_CURVE = 4
WIDTH_OF_NAMES = 36
"""Of a comparison's columns, beyond which they are numbered."""


def short_names(paths: "Sequence[Path]") -> list[str]:
    """A run's folder or a report's file by its name; with the folder before it where that is not enough."""
    short = [path.stem if path.suffix == ".json" else path.resolve().name for path in paths]
    if len(set(short)) == len(short):
        return short
    return [f"{path.resolve().parent.name}/{name}" for path, name in zip(paths, short, strict=True)]


def new_table(columns: Sequence[str], left: Sequence[str]) -> "Table":
    """An empty table without frames; columns that are not ``left`` are aligned to the right."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for column in columns:
        table.add_column(column, justify="left" if column in left else "right")
    return table


def print_table(table: "Table") -> None:
    """As wide as it is, since numbers that are cut short are worse than lines that wrap."""
    from rich.console import Console

    natural = Console(width=10_000).measure(table).maximum
    Console(width=max(Console().width, natural)).print(table)


def with_error(value: float | None, error: float | None) -> str:
    """``0.123 ± 0.004``, or what there is of it; digits that the error makes meaningless are left out."""
    if value is None:
        return "-"
    if not error or not math.isfinite(value) or error < 1e-4 * abs(value):
        return f"{value:.4g}" if error is None else f"{value:.4g} ± {error:.1g}"
    if error < 1e-4:
        return f"{value:.3g} ± {error:.1g}"
    exponent = math.floor(math.log10(error))
    decimals = max(0, -exponent + (error < 2 * 10**exponent))
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"


def multiple(times: float | None) -> str:
    """``3.2``, or nothing where a figure is no multiple of the real one."""
    return "" if times is None else f"{times:,.0f}" if times >= 100 else f"{times:.1f}"


def print_report(report: "Report") -> None:
    """The figures as a table, then what they say, then what a reader should beware of."""
    table = new_table(("metric", "generated", "real", "x real", "better"), ("metric", "better"))
    for figure in report.figures:
        ours, real = with_error(figure.value, figure.error), with_error(figure.baseline, figure.baseline_error)
        table.add_row(figure.name, ours, real, multiple(figure.times_real), figure.better)
    print_table(table)
    for finding in report.findings:
        print(f"finding: {finding}")
    if report.generated_pictures is not None:
        print(
            f"pictures: generated {report.generated_pictures}, real {report.real_pictures}; "
            f"compared at {report.compared_at}."
        )
    if report.accuracy is not None:
        print(f"features: {report.extractor}, whose accuracy on the held-out images is {100 * report.accuracy:.1f} %.")
    n = report.figures[0].n
    print(f"N = {f'{n:,} images on each side' if n else 'unknown'}; ±: standard error over sets.")
    print("real: real images in place of the generated ones, at the same N.")
    if any(figure.times_real is not None for figure in report.figures):
        print("x real: a distance as a multiple of that between real images.")
    if report.per_class:
        shares = ", ".join(f"{name} {100 * share:.0f}" for name, share in report.per_class.items())
        print(f"images taken for the class that was asked for, in %: {shares}")
    if report.class_diversity:
        kinds = ", ".join(f"{name} {ours:.1f} ({real:.1f})" for name, (ours, real) in report.class_diversity.items())
        print(f"different images of a class, effectively (and of as many real ones): {kinds}")
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
    """Tables of a row for each checkpoint and a column for each metric, a few metrics at a time."""
    figures = reports[-1][1].figures
    for start in range(0, len(figures), COLUMNS_OF_A_CURVE):
        shown = slice(start, start + COLUMNS_OF_A_CURVE)
        table = new_table(("step", *(figure.metric for figure in figures[shown])), ())
        for step, report in reports:
            table.add_row(str(step), *(with_error(each.value, each.error) for each in report.figures[shown]))
        table.add_row("real", *(with_error(each.baseline, each.baseline_error) for each in figures[shown]))
        print_table(table)
    print_of(figures)
    for finding in reports[-1][1].findings:
        print(f"finding (last checkpoint): {finding}")


def print_of(figures: "Sequence[Figure]") -> None:
    """What figures that are shown by their short names were computed on."""
    features = dict.fromkeys(figure.name.removeprefix(f"{figure.metric}_") for figure in figures)
    sizes = sorted({figure.n for figure in figures})
    print(f"features: {', '.join(features)}; N = {', '.join(f'{n:,}' for n in sizes)}.")


def print_comparison(rows: "Sequence[Row]", names: Sequence[str]) -> None:
    """A row for each metric; marks say which differ from the first."""
    columns = names if sum(map(len, names)) <= WIDTH_OF_NAMES else [f"({number + 1})" for number in range(len(names))]
    table = new_table(("metric", *columns, "real", "better"), ("metric", "better"))
    for row in rows:
        marks = ["", *(" *" if each.better else " x" if each.better is False else "" for each in row.differences)]
        values = [with_error(f.value, f.error) + mark for f, mark in zip(row.figures, marks, strict=True)]
        first = row.figures[0]
        table.add_row(first.metric, *values, with_error(first.baseline, first.baseline_error), first.better)
    print_table(table)
    if columns is not names:
        print("\n".join(f"{column}: {name}" for column, name in zip(columns, names, strict=True)))
    print_of([row.figures[0] for row in rows])
    print(f"*: better than {names[0]}, x: worse (Welch's test over the sets, p < .05 corrected for all comparisons).")
    print("It knows the error of sampling alone: other training seeds may differ by more.")
    if any(each.probability is None for row in rows for each in row.differences):
        print("note: figures of a single set have no error bars and are not tested; evaluate with --sets 3 or more.")
