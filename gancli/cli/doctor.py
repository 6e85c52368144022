"""``gancli doctor``."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gancli.cli import output
from gancli.errors import UsageError

if TYPE_CHECKING:
    from gancli.config.commands import DoctorFlags
    from gancli.runs.doctor import Checkup

log = logging.getLogger(__name__)


def doctor(told: "DoctorFlags") -> None:
    """Say whether a run's GAN fails, since when, and what to change.

    Exits with 3 if a failure still shows at the end, 0 otherwise.

    [bold]gancli doctor runs/0003-mnist-vanilla[/]
    """
    output.set_up_log(told.quiet)
    plot = Path(told.plot) if told.plot else None
    if plot is not None and plot.exists():
        raise UsageError(f"--plot {plot} exists already; name a new file.")
    from gancli.artifacts.lookup import run_called
    from gancli.runs.doctor import examine

    run = run_called(told.run).path
    checkup = examine(run)
    drawn = _draw(checkup, run, plot)
    if told.json:
        output.print_result(checkup.as_dict() | {"plot": drawn}, True)
    else:
        output.print_result({"run": run, "steps": checkup.steps, "verdict": checkup.verdict, "plot": drawn}, False)
        for finding in checkup.findings:
            spells, alarm = ", ".join(map(str, finding.spells)), finding.spells[-1].alarm
            print(f"\n{finding.failure} ({spells})\n  {alarm.evidence}\n  {alarm.advice}")
    if checkup.present:
        raise typer.Exit(3)


def _draw(checkup: "Checkup", run: Path, plot: Path | None) -> Path | None:
    """Draw the curves. If the run's folder is not writable, warn and return None, so the diagnosis is still shown."""
    from gancli.runs.health_plot import draw

    try:
        return draw(checkup, plot or run / "health.png")
    except OSError as error:
        if plot is not None:
            raise UsageError(f"--plot {plot} cannot be written: {error.strerror}; name another file.") from error
        log.warning("the curves were not drawn (%s: %s); --plot names another place.", error.strerror, error.filename)
        return None
