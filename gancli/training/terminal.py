"""Lines that are written while a bar or a live view is open appear above it, and stay."""

import contextlib
import logging
import sys
from collections.abc import Iterator
from typing import Any, TextIO


@contextlib.contextmanager
def live(view: Any) -> Iterator[None]:
    """Show a `rich.live.Live` or `rich.progress.Progress`; Rich puts what stderr gets above it."""
    before = sys.stderr
    view.start()
    try:
        with _log_moved(before, sys.stderr):
            yield
    finally:
        view.stop()


@contextlib.contextmanager
def above_bars() -> Iterator[None]:
    """Write what stderr gets above the tqdm bars that are open on it."""
    from tqdm.contrib import DummyTqdmFile

    before = sys.stderr
    lines = DummyTqdmFile(before)
    with contextlib.redirect_stderr(lines), _log_moved(before, lines):
        yield


@contextlib.contextmanager
def _log_moved(before: TextIO, now: TextIO) -> Iterator[None]:
    """Give every log handler on one stream the other; handlers keep the stream that they were made with."""
    loggers = [logging.root, *(each for each in logging.root.manager.loggerDict.values())]
    handlers = {handler for logger in loggers if isinstance(logger, logging.Logger) for handler in logger.handlers}
    moved = [each for each in handlers if isinstance(each, logging.StreamHandler) and each.stream is before]
    for handler in moved:
        handler.setStream(now)
    try:
        yield
    finally:
        for handler in moved:
            handler.setStream(before)
