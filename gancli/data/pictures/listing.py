"""List the pictures in a folder or zip file, in an order that does not depend on the file system."""

import logging
import os
import stat
import threading
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO, cast

from gancli.data.pictures.formats import SUFFIXES, UNREAD, advice
from gancli.errors import DataError, UsageError

log = logging.getLogger(__name__)
LITTER = {"__MACOSX", "Thumbs.db", "desktop.ini"}
RUN_FILES = {"config.toml", "environment.json"}
"""Files that mark a run's folder, which is skipped: the samples in it are not the user's pictures."""
LABELS = ("dataset.json", "labels.csv")
"""Files of labels; the first that is there is read."""
MAX_BYTES = 2**28
"""Size of the largest file that is read."""


@dataclass(frozen=True)
class Entry:
    """One picture file, or a frame of it."""

    name: str
    """Path below the root, with ``/``."""
    size: int
    stamp: int
    """Changes with the file: its modification time in a folder, its checksum in an archive."""
    problem: str = ""
    """Reason not to read it, if listing it already found one."""
    frame: int | None = None
    """Number of the frame, if each frame of the file is a picture; None for the file's first frame."""

    @property
    def shown(self) -> str:
        """The name, with the frame's number."""
        return self.name if self.frame is None else f"{self.name}, frame {self.frame + 1}"


@dataclass
class Listing:
    """All picture files of a folder or archive, sorted by name, with a method to read one. Thread-safe."""

    root: Path
    entries: list[Entry]
    others: int
    """Number of files that, by their names, are neither pictures nor labels."""
    archive: zipfile.ZipFile | None = None
    labels: Entry | None = None
    """``dataset.json``, the StyleGAN tools' file of labels, or ``labels.csv``, if there is one at the root or in a
    folder that encloses all pictures."""
    unread: dict[str, int] = field(default_factory=dict)
    """Number of pictures in unsupported formats, by suffix; ``others`` includes them."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, entry: Entry) -> bytes:
        """Read a file; ValueError or OSError with the reason if that fails."""
        _require_readable(entry)
        if self.archive is None:
            with open(f"{self.root}/{entry.name}", "rb", buffering=0) as file:  # noqa: PTH123  a tenth of the time
                return file.read(entry.size)  # it may have grown after the listing
        try:
            with self._lock:
                return self.archive.read(entry.name)
        except (RuntimeError, zipfile.BadZipFile, NotImplementedError, EOFError, KeyError) as error:
            raise ValueError(str(error) or type(error).__name__) from error
        except Exception as error:  # zlib, lzma and bz2 raise errors of their own
            raise ValueError(f"damaged in the archive: {error}") from error

    def open(self, entry: Entry) -> BinaryIO:
        """Open a file to read its first bytes. Not thread-safe; may raise errors of any type."""
        _require_readable(entry)
        if self.archive is None:
            return (self.root / entry.name).open("rb")
        return cast(BinaryIO, self.archive.open(entry.name))


def list_pictures(path: Path) -> Listing:
    """List the pictures below a folder or in a zip file.

    Skips hidden files, files that operating systems leave behind, and the folders of gancli's runs. Raises UsageError
    if there are no pictures, or if the path is neither a folder nor a zip file. Raises DataError if an archive is
    damaged.
    """
    if path.is_dir():
        listing = _list_folder(path)
    elif path.is_file() and zipfile.is_zipfile(path):
        listing = _list_archive(path)
    elif path.is_file() and path.suffix.lower() == ".zip":
        raise DataError(f"the archive {path} has no directory at its end; was it copied or downloaded completely?")
    else:
        raise UsageError(f"{path} is neither a folder nor a zip file of pictures.")
    if not listing.entries:
        known = f"{path} has no pictures ({', '.join(sorted(s[1:] for s in SUFFIXES))}) in it"
        raise UsageError(f"{known}; {advice(listing.unread)}." if listing.unread else f"{known}.")
    return listing


def is_plain(name: str) -> bool:
    """Return True if a name is printable text, in any script."""
    return not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name)


def enclosing(folders: Sequence[list[str]]) -> list[str]:
    """The leading folders that all of these paths share."""
    pairs = zip(min(folders), max(folders), strict=False)  # all paths sort between these two
    return [one for one, other in takewhile(lambda pair: pair[0] == pair[1], pairs)]


def _require_readable(entry: Entry) -> None:
    if entry.problem:
        raise ValueError(entry.problem)
    if entry.size > MAX_BYTES:
        raise ValueError(f"{entry.size:,} bytes are more than a picture file may have")


def _list_folder(root: Path) -> Listing:
    refused: list[OSError] = []
    names = sorted(_walk(str(root), refused))
    entries = [_folder_entry(root, name) for name in names if _is_picture(name)]
    for error in refused:
        name = Path(error.filename).relative_to(root).as_posix()
        entries.append(Entry(name, 0, 0, f"the folder cannot be opened: {error.strerror}"))
    place = _labels_among(names)
    labels = _folder_entry(root, place) if place else None
    return Listing(root, entries, _others(names, place), labels=labels, unread=_unread(names))


def _walk(root: str, refused: list[OSError]) -> Iterator[str]:
    """Yield the names of all files. Follows links, but enters no folder twice, and none that is above the root."""
    above = {_identity(folder) for folder in Path(root).resolve().parents}
    seen: set[tuple[int, int]] = set()
    for folder, folders, files in os.walk(root, followlinks=True, onerror=refused.append):
        here = _identity(folder)
        is_run = folder != root and set(files) >= RUN_FILES
        if here in seen or here in above or is_run:
            folders.clear()
            continue
        seen.add(here)
        folders[:] = sorted(name for name in folders if not _is_litter(name))
        below = "" if folder == root else os.path.relpath(folder, root).replace(os.sep, "/") + "/"
        yield from (below + name for name in files if not _is_litter(name))


def _identity(folder: str | Path) -> tuple[int, int]:
    status = os.stat(folder)  # noqa: PTH116  faster, for many files
    return status.st_dev, status.st_ino


def _is_litter(name: str) -> bool:
    return name in LITTER or name.startswith(".")


def _is_picture(name: str) -> bool:
    return _suffix(name) in SUFFIXES


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122  faster, for many files


def _folder_entry(root: Path, name: str) -> Entry:
    try:
        status = os.stat(f"{root}/{name}")  # noqa: PTH116  faster, for many files
    except OSError as error:  # a link that leads nowhere, or in a circle
        return Entry(name, 0, 0, error.strerror or str(error))
    if not stat.S_ISREG(status.st_mode):  # to read a pipe or a device could take forever
        return Entry(name, 0, 0, "not a regular file")
    return Entry(name, status.st_size, status.st_mtime_ns)


def _list_archive(path: Path) -> Listing:
    try:
        archive = zipfile.ZipFile(path)
        infos = {info.filename: info for info in archive.infolist() if not info.filename.endswith("/")}
    except Exception as error:  # zipfile raises errors of many types for a damaged directory
        raise DataError(f"the archive {path} cannot be read: {error}.") from error
    names = sorted(name for name in infos if not any(_is_litter(part) for part in name.split("/") if part != ".."))
    entries = [_archive_entry(infos[name]) for name in names if _is_picture(name)]
    place = _labels_among(names)
    labels = _archive_entry(infos[place]) if place else None
    return Listing(path, entries, _others(names, place), archive, labels, _unread(names))


def _labels_among(names: Sequence[str]) -> str | None:
    """The path of the file of labels: at the root, otherwise in the outermost folder that encloses all pictures."""
    folders = [name.split("/")[:-1] for name in names if _is_picture(name)]
    if not folders:
        return None
    above = enclosing(folders)
    places = ["/".join([*above[:depth], name]) for name in LABELS for depth in range(len(above) + 1)]
    present = set(names)
    there = [place for place in places if place in present]
    if len(there) > 1:
        log.info("labels are those of %s; %s is not read.", *there[:2])
    return there[0] if there else None


def _others(names: Sequence[str], labels: str | None) -> int:
    return sum(not _is_picture(name) and name != labels for name in names)


def _unread(names: Sequence[str]) -> dict[str, int]:
    return dict(Counter(suffix for name in names if (suffix := _suffix(name)) in UNREAD))


def _archive_entry(info: zipfile.ZipInfo) -> Entry:
    is_link = stat.S_ISLNK(info.external_attr >> 16)
    return Entry(info.filename, info.file_size, info.CRC, "a symbolic link, which archives do not follow" * is_link)
