"""``gancli verify-resume``."""

from typing import Annotated, Any

import typer
from typer import Option

from gancli.cli import output, train

FORWARDED = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Settings of a command that leaves the flags it does not know to another."""
SHOWN = 20


def verify_resume(
    context: typer.Context,
    at: Annotated[
        int | None, Option(metavar="STEP", help="Where the run is broken off. [dim]\\[default: half of --steps][/]")
    ] = None,
    as_json: Annotated[bool, Option("--json", help="Print the result as one JSON object.")] = False,
    quiet: Annotated[bool, Option("--quiet", "-q", help="No notes.")] = False,
) -> None:
    """Prove that a run on this machine resumes bitwise: n steps against k steps and n - k more.

    Takes every flag of [bold]gancli train[/] that says what is trained and how; without --steps it trains 40 in a
    temporary folder. Leaves with 1 and names what differs if anything does.

    [bold]gancli verify-resume --data mnist --recipe dcgan --precision bf16 --steps 60 --at 25[/]
    """
    output.set_up_log(quiet)
    config, settings, flags = _flags_of_train(context.args)
    from gancli.runs import verify_resume as resume_check

    found = resume_check.check_resume(config, at=at, settings=settings, **flags)
    names = {"differences": list(found.differences)} if as_json else {}
    print_as = {"exact": found.exact, "steps": found.steps, "at": found.at, "compared": found.compared} | names
    output.print_result(print_as, as_json)
    if found.exact:
        return
    if not as_json:
        for name in found.differences[:SHOWN]:
            print(f"differs  {name}")
        if len(found.differences) > SHOWN:
            print(f"and {len(found.differences) - SHOWN} more")
    raise typer.Exit(1)


def _flags_of_train(arguments: list[str]) -> tuple[str | None, list[str], dict[str, Any]]:
    """Parsed by train's own parser: the configuration file, what ``--set`` says, and the flags that were given."""
    from gancli.errors import UsageError

    parser = typer.Typer(add_completion=False)
    parser.command()(train.train)
    given = typer.main.get_command(parser).make_context("gancli verify-resume", list(arguments)).params
    for flag in ("resume", "out", "dry_run"):
        if given[flag]:
            raise UsageError(
                f"--{flag.replace('_', '-')} is not for verify-resume, which trains in a temporary folder."
            )
    own = ("config", "settings", "resume", "dry_run", "progress", "as_json", "quiet")
    flags = {name: value for name, value in given.items() if name not in own and value is not None}
    return given["config"], given["settings"] or [], flags
