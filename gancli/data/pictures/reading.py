"""Many picture files decoded side by side, in order, with few of them in memory at a time."""

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from gancli.config.pictures import PictureOptions
from gancli.data.pictures.decoding import BadPicture, Picture, TooSmall, decode
from gancli.data.pictures.listing import Entry, Listing
from gancli.machine import cores

TOGETHER = 8
"""Files that a thread reads before it hands them over."""
AHEAD = 8
"""Times `TOGETHER` files that are read ahead of those asked for."""


@dataclass(frozen=True)
class Reading:
    """What became of one file."""

    entry: Entry
    digest: bytes
    """8 bytes of a hash of its content; none where it cannot be used."""
    picture: Picture | None
    reason: str = ""
    """Why there is no picture."""
    too_small: bool = False
    """The file is sound, but the picture is smaller than asked for."""


def read_picture(listing: Listing, entry: Entry, height: int, width: int, options: PictureOptions) -> Reading:
    """Read and decode one file; whatever is wrong with it ends up in the reason."""
    try:
        content = listing.read(entry)
        picture = decode(content, height, width, options)
    except OSError as error:
        return Reading(entry, b"", None, error.strerror or str(error))
    except (BadPicture, ValueError, MemoryError) as error:
        return Reading(entry, b"", None, str(error) or type(error).__name__, isinstance(error, TooSmall))
    return Reading(entry, hashlib.blake2b(content, digest_size=8).digest(), picture)


def read_pictures(
    listing: Listing, entries: Sequence[Entry], height: int, width: int, options: PictureOptions
) -> Iterator[Reading]:
    """`read_picture` for each entry, in their order, by as many threads as there are cores.

    Pillow lets go of Python's lock while it decodes and resizes, so threads are enough.
    """
    pool = ThreadPoolExecutor(cores.available(), "decoder")
    waiting: deque[Future[list[Reading]]] = deque()

    def read(some: Sequence[Entry]) -> list[Reading]:
        return [read_picture(listing, entry, height, width, options) for entry in some]

    try:
        for start in range(0, len(entries), TOGETHER):
            waiting.append(pool.submit(read, entries[start : start + TOGETHER]))
            if len(waiting) > AHEAD:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
