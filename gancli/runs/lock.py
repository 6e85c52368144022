"""One process at a time on the folder of a run."""

import contextlib
import json
import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from gancli.errors import UsageError
from gancli.files.lock import locked


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the run's lock in this context; UsageError names the process that holds it already."""
    holder = folder / ".lock.json"
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(folder / ".lock", wait=False))
        except BlockingIOError:
            raise UsageError(
                f"{folder} is in use by {_described(holder)}; wait for it or stop it, then --resume {folder}."
            ) from None
        except (OSError, NotImplementedError):  # the file system is full, read-only or has no locks
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


def _described(holder: Path) -> str:
    try:
        process = json.loads(holder.read_text())
        return f"process {process['pid']} on {process['host']} (since {process['started']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
