"""On SIGINT, SIGTERM or loss of the terminal, finish the present step and save the state.

A second signal ends the process at once.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def caught(stop: Callable[[int], None]) -> Iterator[None]:
    """In this context, call ``stop`` with the number of the first signal; only in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    watched = [signal.SIGINT, signal.SIGTERM]
    hangup = getattr(signal, "SIGHUP", None)  # not on Windows
    if hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN:  # nohup ignores it
        watched.append(hangup)

    def handle(number: int, frame: FrameType | None) -> None:
        stop(number)
        for each in watched:
            signal.signal(each, signal.SIG_DFL)

    before = {each: signal.signal(each, handle) for each in watched}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
