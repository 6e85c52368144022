"""Say what takes long while it does, so that nobody waits in silence."""

import contextlib
import logging
import threading
import time
from collections.abc import Iterator

log = logging.getLogger(__name__)
SECONDS = 15.0
"""Time between two lines."""


@contextlib.contextmanager
def told(doing: str) -> Iterator[None]:
    """In this context, log ``doing`` and the time so far every `SECONDS`, even if a single call takes longer."""
    over, began = threading.Event(), time.perf_counter()

    def tell() -> None:
        while not over.wait(SECONDS):
            log.info("%s, for %.0f s so far", doing, time.perf_counter() - began)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()
