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
    run: Annotated[Path, Argument(metavar="RUN", help="A run's folder; it may still be going on.")],
    plot: Annotated[
        Path | None,
        Option(metavar="FILE.png", help="Where the curves are drawn, a new file. [dim]\\[default: RUN/health.png][/]"),
    ] = None,
    as_json: Annotated[bool, Option("--json", help="Print the diagnosis as one JSON object.")] = False,
    quiet: Annotated[bool, Option("--quiet", "-q", help="No notes.")] = False,
) -> None:
    """Read a run's metrics and say whether its GAN fails, since when, and what to change.

    Leaves with 3 if a failure still shows at the end, 0 otherwise.

    [bold]gancli doctor runs/0003-mnist-vanilla[/]
    """
    output.set_up_log(quiet)
    if plot is not None and plot.exists():
        raise UsageError(f"--plot {plot} exists already; name a new file.")
    from gancli.runs import doctor as checkup

    found = checkup.examine(run)
    drawn = _drawn(found, run, plot)
    if as_json:
        output.print_result(found.as_dict() | {"plot": drawn}, True)
    else:
        output.print_result({"run": run, "steps": found.steps, "verdict": found.verdict, "plot": drawn}, False)
        for alarm in found.alarms:
            state = "still shows" if alarm.failure in found.present else "passed"
            print(f"\n{alarm.failure} (step {alarm.step}, {state})\n  {alarm.evidence}\n  {alarm.advice}")
    if found.present:
        raise typer.Exit(3)


def _drawn(found: "Checkup", run: Path, plot: Path | None) -> Path | None:
    """The plot; a run's folder that cannot be written to still has its diagnosis."""
    from gancli.runs import doctor as checkup

    try:
        return checkup.draw(found, plot or run / "health.png")
    except OSError as error:
        if plot is not None:
            raise UsageError(f"--plot {plot} cannot be written: {error.strerror}; name another file.") from error
        log.warning("the curves were not drawn (%s: %s); --plot names another place.", error.strerror, error.filename)
        return None
