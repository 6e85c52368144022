"""Write files atomically: to a temporary file, flushed to disk, then renamed into place."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

PART = ".part"
"""Suffix of temporary files."""


def write_atomically(path: Path, write: Callable[[BinaryIO], object], durable: bool = True) -> None:
    """Call ``write`` with a binary file, then move that file to ``path`` in one step.

    Readers see the old file or the new one, never a part, even after a crash or power failure. On an ``OSError`` (disk
    full, no permission) the old file stays and the temporary file is removed. ``durable=False`` skips the flush
    to disk; use it for many small files that can be made again.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PART)
    except OSError as error:
        error.filename = str(path)
        raise
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            if durable:
                _flush(file.fileno())
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)
        raise
    if durable:
        sync_folder(path.parent)


def write_text_atomically(path: Path, text: str) -> None:
    """Like `write_atomically`, for UTF-8 text."""
    write_atomically(path, lambda file: file.write(text.encode()))


def sync_file(path: Path) -> None:
    """Flush a file to disk; any process may have written it."""
    with path.open("ab") as file:
        _flush(file.fileno())


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, if the operating system can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _flush(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Delete temporary files that killed processes left below a folder; no process may be writing there."""
    for path in folder.rglob(f".*{PART}"):
        with contextlib.suppress(OSError):
            path.unlink()


def _flush(descriptor: int) -> None:
    """Flush to disk; does nothing on file systems that do not support it, such as some network ones."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
            raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
