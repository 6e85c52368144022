"""Pictures in a folder or a zip file: what is there, in an order that does not depend on the file system."""

import json
import os
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from gancli.errors import DataError, UsageError

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
LITTER = {"__MACOSX", "Thumbs.db", "desktop.ini"}
MOST_BYTES = 2**29
"""Size of a file beyond which it is not read."""


@dataclass(frozen=True)
class Entry:
    """One picture file."""

    name: str
    """Path below the root, with ``/``."""
    size: int
    stamp: int
    """Changes when the file does: its time in a folder, its checksum in an archive."""


@dataclass
class Listing:
    """All picture files of a folder or an archive, sorted by name, and how to read one. Safe to use from threads."""

    root: Path
    entries: list[Entry]
    others: int
    """Files that do not look like pictures by their name."""
    archive: zipfile.ZipFile | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, entry: Entry) -> bytes:
        """A file's content; ValueError or OSError with the reason if it cannot be read."""
        if entry.size > MOST_BYTES:
            raise ValueError(f"{entry.size:,} bytes is more than a picture has")
        if self.archive is None:
            return (self.root / entry.name).read_bytes()
        try:
            with self._lock:
                content = self.archive.read(entry.name)
        except (RuntimeError, zipfile.BadZipFile, NotImplementedError, EOFError, KeyError) as error:
            raise ValueError(str(error)) from error
        except Exception as error:  # zlib, lzma and bz2 raise their own
            raise ValueError(f"damaged in the archive: {error}") from error
        return content

    def json_labels(self) -> dict[str, int] | None:
        """What a ``dataset.json``, as the StyleGAN tools write it, says of each name; None if there is none."""
        try:
            if self.archive is not None:
                if "dataset.json" not in self.archive.namelist():
                    return None
                text = self.archive.read("dataset.json")
            else:
                path = self.root / "dataset.json"
                if not path.is_file():
                    return None
                text = path.read_bytes()
            pairs = json.loads(text)["labels"]
            return None if pairs is None else {str(name): _label(value) for name, value in pairs}
        except (ValueError, KeyError, TypeError, OSError, RuntimeError, RecursionError) as error:
            raise DataError(f"the dataset.json of {self.root} is not a list of [name, label]: {error}.") from error


def list_pictures(path: Path) -> Listing:
    """The pictures below a folder, or in a zip file; UsageError if there is none or the file is no archive."""
    if path.is_dir():
        names = sorted(_walk(path))
        found = [_folder_entry(path, name) for name in names if _is_picture(name)]
        listing = Listing(path, [entry for entry in found if entry], len(names) - len(found))
    elif zipfile.is_zipfile(path):
        listing = _open_archive(path)
    else:
        raise UsageError(f"--data {path} is neither a folder nor a zip file of pictures.")
    if not listing.entries:
        raise UsageError(f"--data {path} has no pictures ({', '.join(sorted(s[1:] for s in SUFFIXES))}) in it.")
    return listing


def _label(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is not the number of a class")
    return value


def _walk(root: Path) -> Iterator[str]:
    """Names of all files; follows links to folders, but none of them twice."""
    seen: set[tuple[int, int]] = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not _is_litter(name))
        for name in files:
            if not _is_litter(name):
                yield Path(folder, name).relative_to(root).as_posix()


def _is_litter(name: str) -> bool:
    return name in LITTER or name.startswith(".")


def _is_picture(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def _folder_entry(root: Path, name: str) -> Entry | None:
    try:
        status = (root / name).stat()
    except OSError:  # a dangling link: reading it says so
        return Entry(name, 0, 0)
    return Entry(name, status.st_size, status.st_mtime_ns)


def _open_archive(path: Path) -> Listing:
    try:
        archive = zipfile.ZipFile(path)
        infos = {info.filename: info for info in archive.infolist() if not info.is_dir()}
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DataError(f"the archive {path} cannot be read: {error}.") from error
    names = sorted(name for name in infos if not any(_is_litter(part) for part in name.split("/") if part != ".."))
    entries = [Entry(name, infos[name].file_size, infos[name].CRC) for name in names if _is_picture(name)]
    return Listing(path, entries, len(names) - len(entries), archive)
