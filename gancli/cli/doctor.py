"""``gancli doctor``."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from gancli.cli import output


def doctor(
    run: Annotated[Path, Argument(metavar="RUN", help="A run's folder; it may still be going on.")],
    plot: Annotated[
        Path | None,
        Option(metavar="FILE.png", help="Where the curves are drawn. [dim]\\[default: RUN/health.png][/]"),
    ] = None,
    as_json: Annotated[bool, Option("--json", help="Print the diagnosis as one JSON object.")] = False,
    quiet: Annotated[bool, Option("--quiet", "-q", help="No notes.")] = False,
) -> None:
    """Read a run's metrics and say whether its GAN fails, since when, and what to change.

    Leaves with 3 if a failure still shows at the end, 0 otherwise.

    [bold]gancli doctor runs/0003-mnist-vanilla[/]
    """
    output.set_up_log(quiet)
    from gancli import checkup

    found = checkup.examine(run)
    drawn = checkup.draw(found, plot or run / "health.png")
    if as_json:
        output.print_result(found.as_dict() | {"plot": str(drawn)}, True)
    else:
        output.print_result({"run": run, "steps": found.steps, "verdict": found.verdict, "plot": drawn}, False)
        for alarm in found.alarms:
            state = "still shows" if alarm.failure in found.present else "passed"
            print(f"\n{alarm.failure} (step {alarm.step}, {state})\n  {alarm.evidence}\n  {alarm.advice}")
    if found.present:
        raise typer.Exit(3)
