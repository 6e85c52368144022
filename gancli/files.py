"""Files that are either whole or not there: written beside themselves, flushed to disk, renamed into place."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: Path, write: Callable[[BinaryIO], object], durable: bool = True) -> None:
    """Call ``write`` with a binary file and make its content appear under ``path`` in one step.

    A reader, a crash or a power failure sees the old file or the new one, never a part. An ``OSError``
    (disk full, no permission) leaves the old file as it was and no temporary file behind. ``durable=False``
    does not wait for the disk: thousands of small files that can be made again need not outlive a power failure.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            if durable:
                os.fsync(file.fileno())
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
    """Flush what was written to a file to disk, by whomever."""
    with path.open("ab") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, where the operating system can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
