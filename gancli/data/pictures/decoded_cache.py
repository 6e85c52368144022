"""Decode pictures once, and keep a file of pixels for each split, with facts, in the user's cache folder.

If a folder has changed, pixels of unchanged files are copied, and the new version replaces the old one. After an
interruption, decoding continues after the last complete block. One process at a time decodes a set; others wait.
"""

import contextlib
import errno
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from gancli.config.pictures import PictureOptions
from gancli.data.pictures.cache_folder import cache_folder, limit, lock_of, make_room, note_source, note_use
from gancli.data.pictures.decoding import VERSION, Picture
from gancli.data.pictures.facts import PARTS, Block, Facts, read_blocks, stamp_of
from gancli.data.pictures.listing import Entry, Listing
from gancli.data.pictures.reading import Decoder, Reading, read_pictures
from gancli.errors import DataError
from gancli.files.atomic import write_text_atomically
from gancli.files.lock import locked

log = logging.getLogger(__name__)
LAYOUT = 4
"""Increase this when the cache's files get another layout, or files of more than 8 bits decode to other pixels."""
FACTS = "facts.jsonl"
"""One line for each block whose pixels are on the disk."""
Progress = Callable[[int, int], None]
Shape = tuple[int, int, int]


def decoded(
    listing: Listing, shape: Shape, options: PictureOptions, on_progress: Progress = lambda done, total: None
) -> tuple[dict[str, Tensor], Facts]:
    """Decode pictures that are not in the cache; return all pictures of each split, and their facts.

    Pictures are memory-mapped, uint8 ``(N, C, H, W)``. ``shape`` is ``(C, H, W)``; C becomes 1 for ``--color auto`` if
    all pictures are grey. Raises DataError if the cache cannot be written, for example on a full disk; no partial files
    remain.
    """
    limit()
    alike = [replace(options, range="auto")] if options.range != "auto" else []  # auto may have found this range
    try:
        for each in (*alike, options):
            folder = _folder_of(listing, shape, each)
            facts = _facts_in(folder, shape)
            if _is_whole(facts, listing, options):
                break
        else:
            folder.parent.parent.mkdir(parents=True, exist_ok=True)
            with locked(lock_of(folder.parent), on_wait=_say_that_it_waits):
                facts = _completed(folder, listing, shape, options, on_progress)
        note_use(folder.parent)
        maps = {part: _mapped(folder / f"{part}.u8", len(facts.part(part)), shape) for part in PARTS}
    except OSError as error:
        raise _cannot(folder, _said(error)) from error
    return {part: images[:, :1] if facts.are_grey(options) else images for part, images in maps.items()}, facts


def _completed(folder: Path, listing: Listing, shape: Shape, options: PictureOptions, on_progress: Progress) -> Facts:
    """Decode missing pictures, scale deep ones by the range of the whole set, and delete older versions."""
    facts = _facts_in(folder, shape)  # another process may have decoded it
    if facts.done < len(listing.entries):
        _require_space(folder, (len(listing.entries) - facts.done) * _bytes(shape))
        _fill(folder, facts, listing, shape, options, on_progress)
    if not _is_whole(facts, listing, options):
        _rescale(folder, facts, listing, shape, options)
    for other in _versions(folder):
        shutil.rmtree(other, ignore_errors=True)
    return facts


def _cannot(folder: Path, why: str) -> DataError:
    return DataError(
        f"cannot write decoded pictures to {folder.parents[1]}: {why}; set XDG_CACHE_HOME to a folder elsewhere, or "
        "add --no-cache."
    )


def _said(error: OSError) -> str:
    return "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror or str(error)


def _say_that_it_waits() -> None:
    log.info("another process is decoding these pictures; waiting for it")


def _folder_of(listing: Listing, shape: Shape, options: PictureOptions) -> Path:
    """The folder of a version of a set, inside the set's folder.

    A set is identified by its path, shape and options; a version by the held-out share and each picture's name, size
    and time. For an archive, the pictures' names, sizes and checksums replace the path, so that it may move.
    """
    version = hashlib.blake2b(digest_size=16)
    for entry in listing.entries:
        version.update(stamp_of(entry).encode())
    about_set = os.fsencode(listing.root.resolve()) if listing.archive is None else version.digest()
    version.update(str(options.holdout).encode())
    done = {name: value for name, value in asdict(options).items() if name in ("alpha", "fit", "small_images", "range")}
    done["color"] = "rgb" if options.color == "auto" else options.color
    about = json.dumps([VERSION, LAYOUT, shape, done]).encode() + about_set
    return cache_folder() / hashlib.blake2b(about, digest_size=16).hexdigest() / version.hexdigest()


def _versions(folder: Path) -> list[Path]:
    """Other versions of the same set."""
    with contextlib.suppress(OSError):
        return [path for path in folder.parent.iterdir() if path.is_dir() and path != folder]
    return []


def _require_space(folder: Path, wanted: int) -> None:
    make_room(wanted, folder.parent)
    free = shutil.disk_usage(folder.parents[1]).free
    if free < wanted:
        raise _cannot(folder, f"the disk has {free / 2**20:,.1f} MiB left, and {wanted / 2**20:,.1f} are needed")


def _is_whole(facts: Facts, listing: Listing, options: PictureOptions) -> bool:
    ranges = facts.ranges(options)
    is_scaled = all((each.black, each.white) == ranges.of(each.kind) for each in facts.deep())
    return facts.done == len(listing.entries) and is_scaled


def _facts_in(folder: Path, shape: Shape) -> Facts:
    """Facts about the complete blocks in a folder; empty if their pixels are missing."""
    facts = Facts()
    with (
        contextlib.suppress(OSError, ValueError, TypeError, KeyError),
        (folder / FACTS).open(encoding="utf-8") as lines,
    ):
        for line in lines:  # the last one may be cut off
            facts.add(Facts.of_json(line))
    for part in PARTS:
        path = folder / f"{part}.u8"
        if facts.part(part) and (not path.exists() or path.stat().st_size < len(facts.part(part)) * _bytes(shape)):
            return Facts()
    return facts


def _fill(
    folder: Path, facts: Facts, listing: Listing, shape: Shape, options: PictureOptions, on_progress: Progress
) -> None:
    """Decode missing pictures block by block, overwriting an incomplete block.

    If writing fails, deletes the folder to free the disk.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        note_source(folder.parent, listing.root, shape)
        (folder / FACTS).write_text(facts.json() if facts.done else "", encoding="utf-8")
        on_progress(facts.done, len(listing.entries))
        decoder = Decoder(listing, shape[1], shape[2], options, kept=_kept_of(_versions(folder), shape))
        with contextlib.ExitStack() as stack:
            files = {
                part: stack.enter_context(_open_at(folder / f"{part}.u8", len(facts.part(part)) * _bytes(shape)))
                for part in PARTS
            }
            lines = stack.enter_context((folder / FACTS).open("ab"))
            for block in read_blocks(decoder, facts.done, shape):
                _append(block, files, lines)
                facts.add(block.facts)
                on_progress(facts.done, len(listing.entries))
    except OSError:
        shutil.rmtree(folder if _versions(folder) else folder.parent, ignore_errors=True)
        raise


def _kept_of(versions: list[Path], shape: Shape) -> Callable[[Entry, bytes], Reading | None]:
    """A function that looks up pictures in other versions, by stamp or by digest."""
    places: dict[str, tuple[Tensor, int, Any]] = {}
    for folder in versions:
        facts = _facts_in(folder, shape)
        for part in PARTS:
            images = _mapped(folder / f"{part}.u8", len(facts.part(part)), shape)
            for number, seen in enumerate(facts.part(part)):
                places["stamp " + seen.stamp] = places["content " + seen.digest] = images, number, seen

    def kept(entry: Entry, digest: bytes) -> Reading | None:
        place = places.get("content " + digest.hex() if digest else "stamp " + stamp_of(entry))
        if place is None:
            return None
        images, number, seen = place
        return Reading(entry, bytes.fromhex(seen.digest), Picture(images[number].numpy(), seen.traits))

    return kept


def _rescale(folder: Path, facts: Facts, listing: Listing, shape: Shape, options: PictureOptions) -> None:
    """Decode pictures with more than 8 bits again, now that the range of the set is known."""
    ranges = facts.ranges(options)
    stale = [
        (part, place, seen)
        for part in PARTS
        for place, seen in enumerate(facts.part(part))
        if (values := seen.traits.deep) and (values.black, values.white) != ranges.of(values.kind)
    ]
    decoder = Decoder(listing, shape[1], shape[2], options, ranges)
    with contextlib.ExitStack() as stack:
        files = {part: stack.enter_context((folder / f"{part}.u8").open("r+b")) for part in {row[0] for row in stale}}
        readings = read_pictures(decoder, [listing.entries[seen.row] for _, _, seen in stale])
        for (part, place, seen), reading in zip(stale, readings, strict=True):
            if reading.picture is None or reading.digest.hex() != seen.digest:
                raise DataError(f"{reading.entry.shown!r} of {listing.root} has changed just now; start again.")
            facts.part(part)[place] = seen._replace(traits=reading.picture.traits)
            files[part].seek(place * _bytes(shape))
            files[part].write(reading.picture.pixels.tobytes())
        for file in files.values():
            _flush(file)
    write_text_atomically(folder / FACTS, facts.json())


def _append(block: Block, files: Mapping[str, BinaryIO], lines: BinaryIO) -> None:
    """Write pixels first, so that facts exist only for pixels on the disk."""
    for part, file in files.items():
        file.write(b"".join(pixels.tobytes() for pixels in block.pixels[part]))
        _flush(file)
    lines.write(block.facts.json().encode())
    _flush(lines)


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _bytes(shape: Shape) -> int:
    return shape[0] * shape[1] * shape[2]


@contextlib.contextmanager
def _open_at(path: Path, length: int) -> Iterator[BinaryIO]:
    """Open a file for writing after its first ``length`` bytes."""
    path.touch()
    with path.open("r+b") as file:
        file.truncate(length)
        file.seek(length)
        yield file


def _mapped(path: Path, count: int, shape: Shape) -> Tensor:
    if not count:
        return torch.empty(0, *shape, dtype=torch.uint8)
    array: Any = np.memmap(
        path, np.uint8, "c", shape=(count, *shape)
    )  # copy on write, as torch warns about read-only arrays
    return torch.from_numpy(array)
