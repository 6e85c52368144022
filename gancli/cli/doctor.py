"""``gancli doctor``."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from gancli.cli import output
from gancli.errors import UsageError

if TYPE_CHECKING:
    from gancli.runs.doctor import Checkup

log = logging.getLogger(__name__)


def doctor(
    run: Annotated[Path, Argument(metavar="RUN", help="Folder of a run, finished or not.")],
    plot: Annotated[
        Path | None,
        Option(metavar="FILE.png", help="New file for the curves. [dim]\\[default: RUN/health.png][/]"),
    ] = None,
    as_json: Annotated[bool, Option("--json", help="Print the diagnosis as one JSON object.")] = False,
    quiet: Annotated[bool, Option("--quiet", "-q", help="No notes.")] = False,
) -> None:
    """Say whether a run's GAN fails, since when, and what to change.

    Exits with 3 if a failure still shows at the end, 0 otherwise.

    [bold]gancli doctor runs/0003-mnist-vanilla[/]
    """
    output.set_up_log(quiet)
    if plot is not None and plot.exists():
        raise UsageError(f"--plot {plot} exists already; name a new file.")
    from gancli.runs.doctor import examine

    checkup = examine(run)
    drawn = _draw(checkup, run, plot)
    if as_json:
        output.print_result(checkup.as_dict() | {"plot": drawn}, True)
    else:
        output.print_result({"run": run, "steps": checkup.steps, "verdict": checkup.verdict, "plot": drawn}, False)
        for finding in checkup.findings:
            spells, alarm = ", ".join(map(str, finding.spells)), finding.spells[-1].alarm
            print(f"\n{finding.failure} ({spells})\n  {alarm.evidence}\n  {alarm.advice}")
    if checkup.present:
        raise typer.Exit(3)


def _draw(checkup: "Checkup", run: Path, plot: Path | None) -> Path | None:
    """Draw the curves; None if the run's folder cannot be written to, which must not hide the diagnosis."""
    from gancli.runs.health_plot import draw

    try:
        return draw(checkup, plot or run / "health.png")
    except OSError as error:
        if plot is not None:
            raise UsageError(f"--plot {plot} cannot be written: {error.strerror}; name another file.") from error
        log.warning("the curves were not drawn (%s: %s); --plot names another place.", error.strerror, error.filename)
        return None
