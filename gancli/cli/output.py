"""Print results to stdout, notes and warnings to stderr, for all commands."""

import contextlib
import json
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

debug = False


def leads() -> bool:
    """True in the process with rank 0, which prints for all processes of ``torchrun``."""
    return os.environ.get("RANK", "0") == "0"


def leads_here() -> bool:
    """True in the process with local rank 0, which prints for all processes on this machine."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def set_up_log(quiet: bool) -> None:
    """Send gancli's notes and warnings to stderr, as single lines; with ``quiet`` only warnings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine())
    logger = logging.getLogger("gancli")
    logger.handlers = [handler]
    logger.setLevel((logging.WARNING if quiet else logging.INFO) if leads() else logging.ERROR)
    logger.propagate = False


class _OneLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """``gancli: warning: ...``; notes carry no level."""
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        return f"gancli: {level}{super().format(record)}"


def print_result(result: Mapping[str, Any], as_json: bool) -> None:
    """Print one JSON object, or one line per non-empty entry; only the process with rank 0 prints."""
    if not leads():
        return
    if as_json:
        print(json.dumps(result, default=str))
        return
    width = max(map(len, result))
    for name, value in result.items():
        if value is not None and value != {}:
            print(f"{name:<{width}}  {value}")


@contextlib.contextmanager
def bar(what: str, total: int, quiet: bool) -> Iterator[Callable[[float], None]]:
    """Show a progress bar on stderr if that is a terminal.

    Yields a function to call with the amount done since its last call, in the unit of ``total``. The bar appears at the
    first call, because decoding, which comes earlier, may show its own bar.
    """
    from rich.console import Console
    from rich.progress import Progress

    from gancli.training import terminal

    console = Console(stderr=True)
    progress = Progress(console=console, transient=True, disable=quiet or not console.is_terminal)
    with contextlib.ExitStack() as opened:

        def advance(done: float) -> None:
            if not progress.tasks:
                progress.add_task(what, total=total)
                opened.enter_context(terminal.live(progress))
            progress.update(progress.tasks[0].id, advance=done)

        yield advance


def counted(batches: Iterable[Any], advance: Callable[[float], None]) -> Iterator[Any]:
    """Yield the batches unchanged; after each one is used, advance the bar by its length."""
    for batch in batches:
        yield batch
        advance(len(batch))
