"""One process at a time on the folder of a run."""

import contextlib
import json
import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from gancli.errors import UsageError


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the run's lock; UsageError names the process that holds it already.

    The operating system lets go of the lock when its process dies, however it dies, so a lock that is left over is no
    hindrance. Between hosts it is as good as the file system's locks are (NFS 4 has them).
    """
    lock, holder = FileLock(folder / ".lock"), folder / ".lock.json"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UsageError(
            f"{folder} is in use by {_described(holder)}; wait for it or stop it, then --resume {folder}."
        ) from None
    except (OSError, NotImplementedError):  # a file system that is full, or read only, or knows no locks
        yield
        return
    try:
        with contextlib.suppress(OSError):
            started = datetime.now(UTC).isoformat(timespec="seconds")
            holder.write_text(json.dumps({"pid": os.getpid(), "host": platform.node(), "started": started}))
        yield
    finally:
        with contextlib.suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


def _described(holder: Path) -> str:
    try:
        found = json.loads(holder.read_text())
        return f"process {found['pid']} on {found['host']} (since {found['started']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
