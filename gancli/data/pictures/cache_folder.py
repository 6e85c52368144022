"""List, limit and clear the cache of decoded pictures.

Each set of pictures at one shape has a folder, with a lock file beside it. Each version of the set has a subfolder.
Above the size limit, the least recently used sets are deleted.
"""

import contextlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gancli.errors import DataError, UsageError
from gancli.files.lock import locked
from gancli.files.user_cache import user_cache

log = logging.getLogger(__name__)
LIMIT_GIB = 32.0
LIMIT_VARIABLE = "GANCLI_CACHE_GIB"
ABOUT, USED = "about.json", "used"
"""Files in a set's folder: its description, and an empty one whose modification time is the last use."""


@dataclass(frozen=True)
class KeptSet:
    """One set of decoded pictures."""

    source: str
    """The folder or archive; empty if unknown."""
    size: str
    """Height, width and channels."""
    bytes: int
    last_used: str
    """Day, in UTC."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def cache_folder() -> Path:
    """The folder of decoded pictures."""
    return user_cache("pictures")


def limit() -> int:
    """Maximum size of the cache in bytes; UsageError if ``GANCLI_CACHE_GIB`` is not a number."""
    given = os.environ.get(LIMIT_VARIABLE) or LIMIT_GIB
    try:
        value = float(given)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise UsageError(f"{LIMIT_VARIABLE}={given} is not a number of GiB, such as {LIMIT_GIB:g}.")
    return int(value * 2**30)


def size_of(folder: Path) -> int:
    """Total size of the files below a folder in bytes; 0 if it does not exist."""
    sizes = 0
    for file in folder.rglob("*") if folder.is_dir() else ():
        with contextlib.suppress(OSError):  # another process may delete it
            sizes += file.stat().st_size if file.is_file() else 0
    return sizes


def cache_size() -> int:
    """Size of the cache in bytes."""
    return size_of(cache_folder())


def kept_sets() -> list[KeptSet]:
    """All sets, most recently used first."""
    return [_described(folder) for folder in sorted(_sets(), key=_last_use, reverse=True)]


def note_use(folder: Path) -> None:
    """Record that a set is used now, if the folder is writable."""
    with contextlib.suppress(OSError):
        (folder / USED).touch()


def note_source(folder: Path, source: Path, shape: tuple[int, int, int]) -> None:
    """Write a set's description."""
    channels, height, width = shape
    about = {"source": str(source), "size": f"{height}x{width}x{channels}"}
    (folder / ABOUT).write_text(json.dumps(about), encoding="utf-8")


def make_room(wanted: int, but: Path) -> None:
    """Delete the least recently used sets, except ``but``, until ``wanted`` more bytes fit below the limit.

    A run that is reading a deleted set goes on, because its files stay open.
    """
    excess = cache_size() + wanted - limit()
    for folder in sorted(_sets(), key=_last_use):
        if excess <= 0:
            return
        if folder != but and (freed := _deleted(folder)):
            excess -= freed
            log.info("deleted the least recently used decoded pictures: %.1f MiB", freed / 2**20)


def clear_cache() -> int:
    """Delete all decoded pictures, except sets that are being decoded; returns the number of bytes freed.

    A run that is reading a deleted set goes on, because its files stay open. Raises DataError if deleting fails.
    """
    root, before = cache_folder(), cache_size()
    try:
        for folder in {path.with_suffix("") for path in root.glob("*")}:
            _deleted(folder)
        with contextlib.suppress(OSError):  # it does not exist or is not empty
            root.rmdir()
    except OSError as error:
        raise DataError(f"decoded pictures in {root} cannot be deleted: {error.strerror or error}.") from error
    return before - cache_size()


def lock_of(folder: Path) -> Path:
    """The lock file of a set's folder."""
    return folder.with_suffix(".lock")


def _deleted(folder: Path) -> int:
    """Delete a set unless another process holds its lock; returns the number of bytes freed."""
    freed = size_of(folder)
    try:
        with locked(lock_of(folder), wait=False):
            if folder.exists():
                shutil.rmtree(folder)
            lock_of(folder).unlink(missing_ok=True)
    except BlockingIOError:
        return 0
    return freed


def _sets() -> Iterator[Path]:
    root = cache_folder()
    return (path for path in root.iterdir() if path.is_dir()) if root.is_dir() else iter(())


def _last_use(folder: Path) -> float:
    for path in (folder / USED, folder):
        with contextlib.suppress(OSError):
            return path.stat().st_mtime
    return 0.0


def _described(folder: Path) -> KeptSet:
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        source, size = str(about["source"]), str(about["size"])
    except (OSError, ValueError, KeyError, TypeError):
        source = size = ""
    day = datetime.fromtimestamp(_last_use(folder), UTC).date().isoformat()
    return KeptSet(source, size, size_of(folder), day)
