"""Locks between processes; the operating system releases them when the process ends, for any reason."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout


@contextlib.contextmanager
def locked(path: Path, wait: bool = True, on_wait: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Hold the lock file at ``path``; calls ``on_wait`` once if another process holds it.

    Raises BlockingIOError if another process holds it and ``wait`` is false. Raises OSError or NotImplementedError if
    the file system has no locks. The holder may delete the file; a waiting process then creates a new one. Locks
    between hosts depend on the file system (NFS 4 has them).
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
