"""Pictures decoded once: two files of pixels in the user's cache folder, one for each split, and what is known of them.

A cache that was interrupted goes on after its last whole block. One process at a time fills it; others wait.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from gancli.data.decoding import BadPicture, Picture, decode
from gancli.data.listing import Entry, Listing
from gancli.data.options import PictureOptions
from gancli.errors import DataError
from gancli.files import write_text_atomically

VERSION = 1
BLOCK = 512
"""Pictures after which what is done is written down."""
PARTS = ("train", "heldout")
Progress = Callable[[int, int], None]


@dataclass
class Facts:
    """What is known of the pictures decoded so far; JSON in the cache."""

    done: int = 0
    names: dict[str, list[str]] = field(default_factory=lambda: {part: [] for part in PARTS})
    digests: dict[str, list[str]] = field(default_factory=lambda: {part: [] for part in PARTS})
    bad: list[tuple[str, str]] = field(default_factory=list)
    all_grey: bool = True
    small: int = 0
    transparent: int = 0


@dataclass(frozen=True)
class Decoded:
    """Both splits, uint8 ``(N, C, H, W)`` on read-only memory maps, and what the files were like."""

    train: Tensor
    heldout: Tensor
    facts: Facts

    @property
    def train_names(self) -> list[str]:
        """Names of the training pictures, in their order."""
        return self.facts.names["train"]

    @property
    def heldout_names(self) -> list[str]:
        """Names of the held-out pictures, in their order."""
        return self.facts.names["heldout"]

    @property
    def bad(self) -> tuple[tuple[str, str], ...]:
        """Names of the files that cannot be used, and why."""
        return tuple((name, reason) for name, reason in self.facts.bad)

    @property
    def small(self) -> int:
        """Pictures that were enlarged."""
        return self.facts.small

    @property
    def transparent(self) -> int:
        """Pictures with an alpha channel."""
        return self.facts.transparent

    def fingerprint(self, labels: dict[str, int]) -> str:
        """16 hexadecimal digits of the pictures' contents, their shape, labels, order and split, read from no pixel."""
        digest = hashlib.blake2b(digest_size=8)
        for part, images in zip(PARTS, (self.train, self.heldout), strict=True):
            digest.update(f"{part} {tuple(images.shape)}".encode())
            for name, content in zip(self.facts.names[part], self.facts.digests[part], strict=True):
                digest.update(f"{content} {labels.get(name)}".encode())
        return digest.hexdigest()


def cache_folder() -> Path:
    """Where decoded pictures are kept."""
    import platformdirs

    return platformdirs.user_cache_path("gancli") / "pictures"


def clear_cache() -> int:
    """Delete all decoded pictures; returns the bytes that were freed."""
    folder = cache_folder()
    freed = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else 0
    shutil.rmtree(folder, ignore_errors=True)
    return freed


def decoded(
    listing: Listing, height: int, width: int, options: PictureOptions, on_progress: Progress = lambda done, total: None
) -> Decoded:
    """The pictures of a listing at this size, from the cache or decoded into it.

    DataError if the cache cannot be written, such as on a full disk; nothing half-written is left behind.
    """
    channels = {"grey": 1, "rgba": 4}.get(options.color, 3)
    folder = cache_folder() / _key(listing, height, width, options)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _only_one(folder):
            facts = _facts_in(folder)
            if facts.done < len(listing.entries):
                _fill(folder, facts, listing, (channels, height, width), options, on_progress)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        what = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror
        raise DataError(f"decoded pictures cannot be kept in {folder.parent}: {what}; set XDG_CACHE_HOME.") from error
    parts = [_mapped(folder / f"{part}.u8", len(facts.names[part]), (channels, height, width)) for part in PARTS]
    if facts.all_grey and options.color == "auto":
        parts = [part[:, :1] for part in parts]
    return Decoded(parts[0], parts[1], facts)


def _key(listing: Listing, height: int, width: int, options: PictureOptions) -> str:
    digest = hashlib.blake2b(digest_size=16)
    wanted = {key: value for key, value in asdict(options).items() if key not in ("labels", "bad_images")}
    digest.update(json.dumps([VERSION, height, width, wanted]).encode())
    for entry in listing.entries:
        digest.update(os.fsencode(entry.name) + f"\0{entry.size}\0{entry.stamp}\0".encode())
    return digest.hexdigest()


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system releases if this process dies."""
    with (folder / "lock").open("w") as file:
        try:
            import fcntl
        except ImportError:  # Windows
            yield
            return
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _facts_in(folder: Path) -> Facts:
    try:
        return Facts(**json.loads((folder / "facts.json").read_text(encoding="utf-8", errors="surrogatepass")))
    except (OSError, ValueError, TypeError):
        return Facts()


def _fill(
    folder: Path,
    facts: Facts,
    listing: Listing,
    shape: tuple[int, int, int],
    options: PictureOptions,
    on_progress: Progress,
) -> None:
    """Decode what is missing, block by block; what a block that was cut off has left is overwritten."""
    _, height, width = shape
    limit = int(options.holdout * 2**64)

    def one(entry: Entry) -> tuple[bytes, Picture | str]:
        try:
            content = listing.read(entry)
            digest = hashlib.blake2b(content, digest_size=8).digest()
            return digest, decode(content, height, width, options)
        except OSError as error:
            return b"", str(error.strerror or error)
        except (BadPicture, ValueError, MemoryError) as error:
            return b"", str(error)

    with contextlib.ExitStack() as stack:
        files = {part: stack.enter_context(_open_at(folder / f"{part}.u8", len(facts.names[part]) * _bytes(shape)))
                 for part in PARTS}  # fmt: skip
        pool = stack.enter_context(ThreadPoolExecutor(os.cpu_count() or 1))
        for start in range(facts.done, len(listing.entries), BLOCK):
            block = listing.entries[start : start + BLOCK]
            for entry, (digest, picture) in zip(block, pool.map(one, block), strict=True):
                if isinstance(picture, str):
                    facts.bad.append((entry.name, picture))
                    continue
                part = "heldout" if int.from_bytes(digest, "big") < limit else "train"
                files[part].write(picture.pixels.tobytes())
                facts.names[part].append(entry.name)
                facts.digests[part].append(digest.hex())
                facts.all_grey &= picture.is_grey
                facts.small += picture.size[0] < height or picture.size[1] < width
                facts.transparent += picture.has_alpha
            for file in files.values():
                file.flush()
                os.fsync(file.fileno())
            facts.done = start + len(block)
            write_text_atomically(folder / "facts.json", json.dumps(asdict(facts)))
            on_progress(facts.done, len(listing.entries))


def _bytes(shape: tuple[int, int, int]) -> int:
    return shape[0] * shape[1] * shape[2]


@contextlib.contextmanager
def _open_at(path: Path, length: int) -> Iterator[BinaryIO]:
    """A file to append to after its first ``length`` bytes."""
    path.touch()
    with path.open("r+b") as file:
        file.truncate(length)
        file.seek(length)
        yield file


def _mapped(path: Path, count: int, shape: tuple[int, int, int]) -> Tensor:
    if not count:
        return torch.empty(0, *shape, dtype=torch.uint8)
    array: Any = np.memmap(path, np.uint8, "c", shape=(count, *shape))  # copy on write: torch wants no read-only array
    return torch.from_numpy(array)
