"""Pictures decoded once: a file of pixels for each split in the user's cache folder, and what is known of them.

A cache that was interrupted goes on after its last whole block. One process at a time fills it; others wait.
"""

import contextlib
import errno
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import numpy as np
import torch
from torch import Tensor

from gancli.config.pictures import PictureOptions
from gancli.data.pictures.decoding import VERSION
from gancli.data.pictures.facts import PARTS, Block, Facts, read_blocks
from gancli.data.pictures.listing import Listing
from gancli.errors import DataError
from gancli.files.user_cache import user_cache

log = logging.getLogger(__name__)
FACTS = "facts.jsonl"
"""A line for each block whose pixels are on the disk."""
Progress = Callable[[int, int], None]
Shape = tuple[int, int, int]


def cache_folder() -> Path:
    """Where decoded pictures are kept."""
    return user_cache("pictures")


def cache_size() -> int:
    """Bytes of all decoded pictures."""
    folder = cache_folder()
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else 0


def clear_cache() -> int:
    """Delete all decoded pictures but those that are being decoded just now; returns the bytes that were freed.

    A run that reads them goes on with its own. DataError if they cannot be deleted.
    """
    root, before = cache_folder(), cache_size()
    try:
        for folder in {path.with_suffix("") for path in root.glob("*")}:
            with contextlib.suppress(BlockingIOError), _only_one(folder, wait=False) as lock:
                if folder.exists():
                    shutil.rmtree(folder)
                lock.unlink()
        with contextlib.suppress(OSError):  # it is not there, or holds what is being decoded
            root.rmdir()
    except OSError as error:
        raise DataError(f"decoded pictures in {root} cannot be deleted: {error.strerror or error}.") from error
    return before - cache_size()


def decoded(
    listing: Listing, shape: Shape, options: PictureOptions, on_progress: Progress = lambda done, total: None
) -> tuple[dict[str, Tensor], Facts]:
    """The pictures of a listing as uint8 ``(N, C, H, W)`` on memory maps, for each split, and the facts of them.

    ``shape`` is ``(C, H, W)``; with colour ``auto`` and grey pictures alone C becomes 1. They are decoded if the cache
    has not got them. DataError if it cannot be written, such as on a full disk; nothing half-written is left behind.
    """
    folder = cache_folder() / _key(listing, shape, options)
    try:
        facts = _facts_in(folder, shape)
        if facts.done < len(listing.entries):
            folder.parent.mkdir(parents=True, exist_ok=True)
            with _only_one(folder):
                facts = _facts_in(folder, shape)  # another process may have been at it
                if facts.done < len(listing.entries):
                    _require_space(folder, (len(listing.entries) - facts.done) * _bytes(shape))
                    _fill(folder, facts, listing, shape, options, on_progress)
        maps = {part: _mapped(folder / f"{part}.u8", len(facts.rows(part)), shape) for part in PARTS}
    except OSError as error:
        raise _cannot(folder, _said(error)) from error
    return {part: images[:, :1] if facts.are_grey(options) else images for part, images in maps.items()}, facts


def _cannot(folder: Path, why: str) -> DataError:
    return DataError(
        f"decoded pictures cannot be kept in {folder.parent}: {why}; set XDG_CACHE_HOME to a folder elsewhere, or add "
        "--no-cache."
    )


def _said(error: OSError) -> str:
    return "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror or str(error)


def _key(listing: Listing, shape: Shape, options: PictureOptions) -> str:
    """Of where the pictures are, each one's name, size and time, and of what is done with them."""
    digest = hashlib.blake2b(digest_size=16)
    wanted = {key: value for key, value in asdict(options).items() if key not in ("labels", "bad_images")}
    digest.update(json.dumps([VERSION, shape, wanted]).encode())
    if listing.archive is None:  # files of two folders may agree in names, sizes and times
        digest.update(os.fsencode(listing.root.resolve()))
    for entry in listing.entries:
        digest.update(f"{entry.name}\0{entry.size}\0{entry.stamp}\0".encode(errors="surrogatepass"))
    return digest.hexdigest()


@contextlib.contextmanager
def _only_one(folder: Path, wait: bool = True) -> Iterator[Path]:
    """Hold the lock of a folder, which the system releases if this process dies; yields the lock's file.

    BlockingIOError if another process holds it and ``wait`` is false.
    """
    path = folder.with_suffix(".lock")
    while True:
        with path.open("w") as file:
            _lock(file, wait)
            if _is_at(file, path):  # whoever held it before may have deleted it
                yield path
                return


def _lock(file: TextIO, wait: bool) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if not wait:
            raise
        log.info("another process is decoding these pictures; waiting for it")
        fcntl.flock(file, fcntl.LOCK_EX)


def _is_at(file: TextIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _require_space(folder: Path, wanted: int) -> None:
    free = shutil.disk_usage(folder.parent).free
    if free < wanted:
        raise _cannot(folder, f"the disk has {free / 2**20:,.1f} MiB left, and {wanted / 2**20:,.1f} are needed")


def _facts_in(folder: Path, shape: Shape) -> Facts:
    """What the whole blocks in a folder hold; nothing if pixels of them are missing."""
    facts = Facts()
    with contextlib.suppress(OSError, ValueError, TypeError), (folder / FACTS).open(encoding="utf-8") as lines:
        for line in lines:  # the last one may be cut off
            facts.add(Facts(**json.loads(line)))
    for part in PARTS:
        path = folder / f"{part}.u8"
        if facts.rows(part) and (not path.exists() or path.stat().st_size < len(facts.rows(part)) * _bytes(shape)):
            return Facts()
    return facts


def _fill(
    folder: Path, facts: Facts, listing: Listing, shape: Shape, options: PictureOptions, on_progress: Progress
) -> None:
    """Decode what is missing, block by block; what a block that was cut off has left is overwritten.

    Where that is not possible, the folder goes, so that the disk has room again.
    """
    try:
        folder.mkdir(exist_ok=True)
        kept = [json.dumps(asdict(facts)) + "\n"] if facts.done else []
        (folder / FACTS).write_text("".join(kept), encoding="utf-8")
        on_progress(facts.done, len(listing.entries))
        with contextlib.ExitStack() as stack:
            files = {
                part: stack.enter_context(_open_at(folder / f"{part}.u8", len(facts.rows(part)) * _bytes(shape)))
                for part in PARTS
            }
            lines = stack.enter_context((folder / FACTS).open("ab"))
            for block in read_blocks(listing, facts.done, shape, options):
                _append(block, files, lines)
                facts.add(block.facts)
                on_progress(facts.done, len(listing.entries))
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _append(block: Block, files: Mapping[str, BinaryIO], lines: BinaryIO) -> None:
    """Pixels first: what the facts tell of is on the disk."""
    for part, file in files.items():
        file.write(b"".join(pixels.tobytes() for pixels in block.pixels[part]))
        _flush(file)
    lines.write(json.dumps(asdict(block.facts)).encode() + b"\n")
    _flush(lines)


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _bytes(shape: Shape) -> int:
    return shape[0] * shape[1] * shape[2]


@contextlib.contextmanager
def _open_at(path: Path, length: int) -> Iterator[BinaryIO]:
    """A file to append to after its first ``length`` bytes."""
    path.touch()
    with path.open("r+b") as file:
        file.truncate(length)
        file.seek(length)
        yield file


def _mapped(path: Path, count: int, shape: Shape) -> Tensor:
    if not count:
        return torch.empty(0, *shape, dtype=torch.uint8)
    array: Any = np.memmap(path, np.uint8, "c", shape=(count, *shape))  # copy on write: torch wants no read-only array
    return torch.from_numpy(array)
