"""``gancli verify-resume``."""

from typing import Any

import typer

from gancli.cli import output
from gancli.cli.command import built_apart

MAX_NAMES = 20
"""Largest number of differences that are printed."""


def verify_resume(given: dict[str, Any]) -> None:
    """Prove that a run on this machine resumes bitwise: n steps against k steps and n - k more.

    Takes the flags of [bold]gancli train[/] that determine the training; trains 40 steps in a temporary folder,
    unless --steps is given. Differences are listed, with exit code 1.

    [bold]gancli verify-resume --data mnist --recipe dcgan --precision bf16 --steps 60 --at 25[/]
    """
    from gancli.config import TrainConfig
    from gancli.config.train_command import VerifyResume
    from gancli.config.values import COMMAND_LINE, typed

    told, flags = built_apart(VerifyResume, given)
    output.set_up_log(told.quiet)
    from gancli.runs.verify_resume import check_resume

    check = check_resume(told.config, at=told.at, settings=told.settings, **typed(TrainConfig, flags, COMMAND_LINE))
    shown = {"exact": check.exact, "steps": check.steps, "at": check.at, "compared": check.compared}
    output.print_result(shown | ({"differences": list(check.differences)} if told.json else {}), told.json)
    if check.exact:
        return
    if not told.json:
        for name in check.differences[:MAX_NAMES]:
            print(f"differs  {name}")
        if len(check.differences) > MAX_NAMES:
            print(f"and {len(check.differences) - MAX_NAMES} more")
    raise typer.Exit(1)
