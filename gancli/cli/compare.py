"""``gancli compare``."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from gancli.cli import output, report_output


def compare(
    reports: Annotated[
        list[Path],
        Argument(metavar="RUN|REPORT.json ...", help="Runs that were evaluated, or what gancli eval --json printed."),
    ],
    as_json: Annotated[bool, Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Put evaluations side by side, and say which differences are more than noise.

    Reports of other real images, splits, extractors or N are refused.

    [bold]gancli compare runs/0001-digits-r3gan runs/0002-digits-dcgan[/]
    """
    output.set_up_log(False)
    from gancli.evaluation.comparing import compare as rows_of
    from gancli.evaluation.report import finite
    from gancli.evaluation.sources.folders import report_of

    names = report_output.short_names(reports)
    rows = rows_of([report_of(path) for path in reports], names)
    if as_json:
        print(json.dumps({"reports": [str(path) for path in reports], "rows": [finite(asdict(row)) for row in rows]}))
    else:
        report_output.print_comparison(rows, names)
