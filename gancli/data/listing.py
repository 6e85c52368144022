"""Pictures in a folder or a zip file: what is there, in an order that does not depend on the file system."""

import json
import os
import stat
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from gancli.errors import DataError, UsageError

SUFFIXES = {".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
LITTER = {"__MACOSX", "Thumbs.db", "desktop.ini"}
MOST_BYTES = 2**28
"""Size of a file beyond which it is not read."""


@dataclass(frozen=True)
class Entry:
    """One picture file."""

    name: str
    """Path below the root, with ``/``."""
    size: int
    stamp: int
    """Changes when the file does: its time in a folder, its checksum in an archive."""
    problem: str = ""
    """Why there is no use in reading it, where the listing knows already."""


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
        if entry.problem:
            raise ValueError(entry.problem)
        if entry.size > MOST_BYTES:
            raise ValueError(f"{entry.size:,} bytes are more than a picture has")
        if self.archive is None:
            with (self.root / entry.name).open("rb") as file:
                return file.read(entry.size)  # it may have grown since
        try:
            with self._lock:
                return self.archive.read(entry.name)
        except (RuntimeError, zipfile.BadZipFile, NotImplementedError, EOFError, KeyError) as error:
            raise ValueError(str(error) or type(error).__name__) from error
        except Exception as error:  # zlib, lzma and bz2 raise their own
            raise ValueError(f"damaged in the archive: {error}") from error

    def json_labels(self) -> dict[str, int] | None:
        """What a ``dataset.json``, as the StyleGAN tools write it, says of each name; None if there is none."""
        try:
            text = self._dataset_json()
            pairs = None if text is None else json.loads(text)["labels"]
            return None if pairs is None else {str(name): _label(value) for name, value in pairs}
        except (ValueError, KeyError, TypeError, OSError, RuntimeError, zipfile.BadZipFile) as error:
            raise DataError(
                f"the dataset.json of {self.root} is not a list of [name, label] ({error}); use --labels none."
            ) from error

    def _dataset_json(self) -> bytes | None:
        if self.archive is not None:
            names = self.archive.namelist()
            return self.archive.read("dataset.json") if "dataset.json" in names else None
        path = self.root / "dataset.json"
        return path.read_bytes() if path.is_file() else None


def list_pictures(path: Path) -> Listing:
    """The pictures below a folder, or in a zip file.

    UsageError if there are none or the path is neither, DataError if an archive is damaged.
    """
    if path.is_dir():
        listing = _list_folder(path)
    elif path.is_file() and zipfile.is_zipfile(path):
        listing = _list_archive(path)
    else:
        raise UsageError(f"--data {path} is neither a folder nor a zip file of pictures.")
    if not listing.entries:
        raise UsageError(f"--data {path} has no pictures ({', '.join(sorted(s[1:] for s in SUFFIXES))}) in it.")
    return listing


def _label(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**31:
        raise ValueError(f"{value!r} is not the number of a class")
    return value


def _list_folder(root: Path) -> Listing:
    refused: list[OSError] = []
    names = sorted(_walk(root, refused))
    entries = [_folder_entry(root, name) for name in names if _is_picture(name)]
    for error in refused:
        name = Path(error.filename).relative_to(root).as_posix()
        entries.append(Entry(name, 0, 0, f"the folder cannot be opened: {error.strerror}"))
    return Listing(root, entries, len(names) - len(entries) + len(refused))


def _walk(root: Path, refused: list[OSError]) -> Iterator[str]:
    """Names of all files. Links to folders are followed, but none twice, and none to where the walk came from."""
    above = {_identity(folder) for folder in root.resolve().parents}
    seen: set[tuple[int, int]] = set()
    for folder, folders, files in os.walk(root, followlinks=True, onerror=refused.append):
        here = _identity(Path(folder))
        if here in seen or here in above:
            folders.clear()
            continue
        seen.add(here)
        folders[:] = sorted(name for name in folders if not _is_litter(name))
        for name in files:
            if not _is_litter(name):
                yield Path(folder, name).relative_to(root).as_posix()


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _is_litter(name: str) -> bool:
    return name in LITTER or name.startswith(".")


def _is_picture(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def _folder_entry(root: Path, name: str) -> Entry:
    try:
        status = (root / name).stat()
    except OSError as error:  # a link that leads nowhere, or in a circle
        return Entry(name, 0, 0, error.strerror or str(error))
    if not stat.S_ISREG(status.st_mode):  # to read a pipe or a device could take forever
        return Entry(name, 0, 0, "not a regular file")
    return Entry(name, status.st_size, status.st_mtime_ns)


def _list_archive(path: Path) -> Listing:
    try:
        archive = zipfile.ZipFile(path)
        infos = {info.filename: info for info in archive.infolist() if not info.filename.endswith("/")}
    except Exception as error:  # a damaged directory makes zipfile raise nearly everything
        raise DataError(f"the archive {path} cannot be read: {error}.") from error
    names = sorted(name for name in infos if not any(_is_litter(part) for part in name.split("/") if part != ".."))
    entries = [Entry(name, infos[name].file_size, infos[name].CRC) for name in names if _is_picture(name)]
    return Listing(path, entries, len(names) - len(entries), archive)
