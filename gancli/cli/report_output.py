"""Print reports of evaluations as tables, CSV and JSON."""

import csv
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from gancli.evaluation import Figure, Report
    from gancli.evaluation.comparing import Row

COLUMNS = ("metric", "name", "value", "error", "baseline", "baseline_error", "n", "better", "times_real")
COLUMNS_OF_A_CURVE = 4
"""Number of metrics in one table of checkpoints."""
MAX_NAMES_WIDTH = 36
"""Most characters of all names together above the columns of a comparison; beyond it, columns are numbered."""


def short_names(paths: "Sequence[Path]") -> list[str]:
    """Names of run folders or report files, with their parents' names if they are not unique."""
    short = [path.stem if path.suffix == ".json" else path.resolve().name for path in paths]
    if len(set(short)) == len(short):
        return short
    return [f"{path.resolve().parent.name}/{name}" for path, name in zip(paths, short, strict=True)]


def print_json(reports: "Sequence[tuple[int, Report]] | Report") -> None:
    """Print one object: a report, or ``{"checkpoints": [{"step": ..., ...}, ...]}``."""
    if isinstance(reports, Sequence):
        print(json.dumps({"checkpoints": [{"step": step} | report.as_dict() for step, report in reports]}))
    else:
        print(json.dumps(reports.as_dict()))


def print_csv(reports: "Sequence[tuple[int | None, Report]]") -> None:
    """Print a line for each figure; the first column is the checkpoint's step, if there are checkpoints."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    stepped = any(step is not None for step, _ in reports)
    writer.writerow([*(["step"] if stepped else []), *COLUMNS])
    for step, report in reports:
        for figure in report.as_dict()["figures"]:
            writer.writerow([*([step] if stepped else []), *(figure[column] for column in COLUMNS)])


def print_curve(reports: "Sequence[tuple[int, Report]]") -> None:
    """Print tables with a row per checkpoint and a column per metric, a few metrics at a time."""
    from gancli.evaluation.tables import new_table, table_as_text, with_error

    figures = reports[-1][1].figures
    for start in range(0, len(figures), COLUMNS_OF_A_CURVE):
        shown = slice(start, start + COLUMNS_OF_A_CURVE)
        table = new_table(("step", *(figure.metric for figure in figures[shown])), ())
        for step, report in reports:
            table.add_row(str(step), *(with_error(each.value, each.error) for each in report.figures[shown]))
        table.add_row("real", *(with_error(each.baseline, each.baseline_error) for each in figures[shown]))
        print(table_as_text(table))
    print_of(figures)
    for finding in reports[-1][1].findings:
        print(f"finding (last checkpoint): {finding}")


def print_of(figures: "Sequence[Figure]") -> None:
    """Print the features and N, which the short metric names in the tables leave out."""
    features = dict.fromkeys(figure.name.removeprefix(f"{figure.metric}_") for figure in figures)
    sizes = sorted({figure.n for figure in figures})
    print(f"features: {', '.join(features)}; N = {', '.join(f'{n:,}' for n in sizes)}.")


def print_comparison(rows: "Sequence[Row]", names: Sequence[str]) -> None:
    """Print a row per metric; ``*`` and ``x`` mark significant differences from the first report."""
    from gancli.evaluation.tables import new_table, table_as_text, with_error

    columns = names if sum(map(len, names)) <= MAX_NAMES_WIDTH else [f"({number + 1})" for number in range(len(names))]
    table = new_table(("metric", *columns, "real", "better"), ("metric", "better"))
    for row in rows:
        marks = ["", *(" *" if each.better else " x" if each.better is False else "" for each in row.differences)]
        values = [with_error(f.value, f.error) + mark for f, mark in zip(row.figures, marks, strict=True)]
        first = row.figures[0]
        table.add_row(first.metric, *values, with_error(first.baseline, first.baseline_error), first.better)
    print(table_as_text(table))
    if columns is not names:
        print("\n".join(f"{column}: {name}" for column, name in zip(columns, names, strict=True)))
    print_of([row.figures[0] for row in rows])
    print(f"*: better than {names[0]}, x: worse (Welch's test over the sets, p < .05 corrected for all comparisons).")
    print("It knows the error of sampling alone: other training seeds may differ by more.")
    if any(each.probability is None for row in rows for each in row.differences):
        print("note: figures of a single set have no error bars and are not tested; evaluate with --sets 3 or more.")
