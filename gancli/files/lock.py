"""Locks among processes, which the operating system releases when their process ends, however it ends."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout


@contextlib.contextmanager
def locked(path: Path, wait: bool = True, on_wait: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Hold the lock of a path; ``on_wait`` is called once if another process holds it.

    BlockingIOError if it does and ``wait`` is false; OSError or NotImplementedError where there can be no lock. The
    holder may delete the file: whoever waits for it then makes a new one. Between hosts a lock is as good as the file
    system's locks are (NFS 4 has them).
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if not wait:
            raise BlockingIOError(f"another process holds {path}") from None
        on_wait()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
