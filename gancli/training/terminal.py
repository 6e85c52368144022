"""Print lines above an open progress bar or live view, where they stay."""

import contextlib
import logging
import sys
from collections.abc import Iterator
from typing import Any, TextIO


@contextlib.contextmanager
def live(view: Any) -> Iterator[None]:
    """Show a `rich.live.Live` or `rich.progress.Progress` in this context; Rich prints stderr above it."""
    before = sys.stderr
    view.start()
    try:
        with _log_moved(before, sys.stderr):
            yield
    finally:
        view.stop()


@contextlib.contextmanager
def above_bars() -> Iterator[None]:
    """In this context, print stderr above the open tqdm bars."""
    from tqdm.contrib import DummyTqdmFile

    before = sys.stderr
    lines = DummyTqdmFile(before)
    with contextlib.redirect_stderr(lines), _log_moved(before, lines):
        yield


@contextlib.contextmanager
def _log_moved(before: TextIO, now: TextIO) -> Iterator[None]:
    """In this context, move all log handlers of stream ``before`` to ``now``."""
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
