"""``gancli compare``."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from gancli.cli import output, report_output

if TYPE_CHECKING:
    from gancli.config.evaluate_command import CompareFlags


def compare(told: "CompareFlags") -> None:
    """Put evaluations side by side, and say which differences are more than noise.

    Reports of other real images, splits, extractors or N are refused.

    [bold]gancli compare runs/0001-digits-r3gan runs/0002-digits-dcgan[/]
    """
    output.set_up_log(False)
    from gancli.evaluation.comparing import compare as rows_of
    from gancli.evaluation.report import finite
    from gancli.evaluation.sources.folders import report_of

    reports = [_report_at(text) for text in told.reports]
    names = report_output.short_names(reports)
    rows = rows_of([report_of(path) for path in reports], names)
    if told.json:
        print(json.dumps({"reports": [str(path) for path in reports], "rows": [finite(asdict(row)) for row in rows]}))
    else:
        report_output.print_comparison(rows, names)


def _report_at(name: str) -> Path:
    """Path of a report file or of a run's folder; ``latest`` means the newest run."""
    from gancli.artifacts.lookup import run_called

    return Path(name) if Path(name).exists() else run_called(name).path
