"""The command ``gancli``: parse, call one function, print. Heavy imports happen inside the commands."""

import io
import logging
import os
import signal
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import typer

from gancli.cli import (
    compare,
    data,
    doctor,
    evaluate,
    export,
    inspect,
    output,
    recipes,
    reconstruct,
    sample,
    serve,
    train,
    unknown_flag,
    verify_resume,
    zsh,
)
from gancli.cli.command import COMMANDS, CommandGroup, add
from gancli.errors import GancliError, Interrupted, UsageError, is_out_of_memory
from gancli.version import __version__

zsh.replace_typers_script()
app = typer.Typer(
    cls=CommandGroup,
    name="gancli",
    help="Train a GAN on your images, draw from it, and measure honestly how good it is.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(ctx: typer.Context, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:  # which is on while a shell completes a line
        print(f"gancli {__version__}")
        raise typer.Exit()


@app.callback()
def common(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Print the version."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Train a GAN on your images, draw from it, and measure honestly how good it is."""
    output.debug = output.debug or debug


add(app, "train", train.train, "TrainFlags", raw=True)
add(app, "sample", sample.sample, "SampleFlags")
add(app, "eval", evaluate.evaluate, "EvaluateFlags")
add(app, "compare", compare.compare, "CompareFlags")
add(app, "reconstruct", reconstruct.reconstruct, "ReconstructFlags")
add(app, "doctor", doctor.doctor, "DoctorFlags")
add(app, "inspect", inspect.inspect, "InspectFlags")
add(app, "export", export.export, "ExportFlags")
add(app, "serve", serve.serve, "ServeFlags")
add(app, "verify-resume", verify_resume.verify_resume, "VerifyResumeFlags", raw=True)
app.add_typer(data.app, name="data", rich_help_panel=COMMANDS)
add(app, "recipes", recipes.recipes, "RecipesFlags")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code; an error is one line on stderr."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # an ASCII terminal shows escapes instead of failing
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)
    sys.exit(run(arguments))


def _open_closed_streams() -> None:
    """Read and write nothing where the caller closed a standard stream, as ``2>&-`` does.

    Otherwise the stream is None, and the first file that is opened gets its number, to which libraries print.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115


class Stopped(BaseException):
    """SIGINT or SIGTERM outside of a training's steps; cleanup code removes temporary files as it propagates.

    It is not a KeyboardInterrupt, because the parser turns that into a silent exit.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


_stopped: Stopped | None = None
"""The signal that has arrived. A library may turn it into an error of its own, above all while it is imported."""


def _stop(number: int, frame: object) -> None:
    global _stopped
    signal.signal(number, signal.SIG_DFL)  # a second signal kills at once
    _stopped = Stopped(number)
    raise _stopped


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    global _stopped
    _stopped = None
    given = sys.argv[1:] if arguments is None else arguments
    output.debug = "--debug" in given  # before or after the command's name
    try:
        _require_values(given)
        words = [word for word in given if word != "--debug"]
        code = app(words, prog_name="gancli", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except Interrupted as error:
        print(f"gancli: {error}", file=sys.stderr)
        return error.exit_code
    except GancliError as error:
        # a machine's processes have the same input, so one of them prints a usage error
        told = isinstance(error, UsageError) and not output.leads_here()
        return error.exit_code if told else _fail(error, str(error), error.exit_code)
    except typer.Abort:
        return 1
    except Stopped as stopped:
        return _interrupted(stopped)
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception as error:
        if _stopped:
            return _interrupted(_stopped)
        if hasattr(error, "format_message"):  # the parser's error for a wrong command line
            return _fail(error, _said(error), getattr(error, "exit_code", 2))
        return _fail(error, describe(error), 1)


def _interrupted(stopped: Stopped) -> int:
    print("gancli: interrupted.", file=sys.stderr)
    return stopped.exit_code


def _said(error: Any) -> str:
    """The parser's message; for an unknown flag, the flag or hyperparameter that was probably meant."""
    flag, context = getattr(error, "option_name", ""), getattr(error, "ctx", None)
    if not flag or context is None or hasattr(error, "param"):
        return error.format_message()
    known = [each for parameter in context.command.params for each in parameter.opts if each.startswith("--")]
    return unknown_flag.answer(flag, known, context.command_path)


def _require_values(given: list[str]) -> None:
    """Raise UsageError for an empty value, because as a path it would mean the current folder."""
    for before, word in pairwise(["", *given]):
        flag, equals, value = word.partition("=")
        if word and not (flag.startswith("--") and equals and not value):
            continue
        name = flag or (before if before.startswith("-") else "an argument")
        raise UsageError(f"{name} is empty; remove it or give it a value.")


def describe(error: Exception) -> str:
    """One line for an unexpected error, with advice if memory ran out."""
    first = (str(error).strip().splitlines() or [""])[0]
    if is_out_of_memory(error):
        return f"out of memory: {first} Try --batch-size auto, a smaller --image-size or --precision bf16."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}." if error.filename else f"{error.strerror}."
    return f"{type(error).__name__}: {first} (gancli --debug ... shows where)"


def _fail(error: Exception, message: str, code: int) -> int:
    if output.debug:
        logging.getLogger("gancli").error("traceback follows", exc_info=error)
    if message:  # empty if the parser has shown the help instead
        print(f"gancli: error: {' '.join(message.split())}", file=sys.stderr)
    return code
