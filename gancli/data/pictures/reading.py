"""Decode many picture files in parallel and in order, with few of them in memory at a time."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import groupby

from gancli.config.pictures import PictureOptions
from gancli.data.pictures.decoding import Picture, PictureFile, TooSmall, digest_of
from gancli.data.pictures.deep import Ranges
from gancli.data.pictures.formats import may_have_frames
from gancli.data.pictures.listing import Entry, Listing
from gancli.data.pictures.opening import BadPicture
from gancli.machine import cores

TOGETHER = 8
"""Files in one task of a thread."""
MAX_FRAMES_TOGETHER = 128
AHEAD = 8
"""Tasks that are queued behind the one whose result is next."""


@dataclass(frozen=True)
class Reading:
    """The result of reading one file or frame."""

    entry: Entry
    digest: bytes
    """An 8-byte hash of its content; empty if it cannot be used."""
    picture: Picture | None
    reason: str = ""
    """The reason why there is no picture."""
    too_small: bool = False
    """True if the file is good but smaller than the wanted size."""


@dataclass(frozen=True)
class Decoder:
    """Reads the pictures of a listing at one size, with these options and this range."""

    listing: Listing
    height: int
    width: int
    options: PictureOptions
    ranges: Ranges = field(default_factory=Ranges)
    kept: Callable[[Entry, bytes], Reading | None] = lambda entry, digest: None
    """Looks up an earlier reading by digest, or by entry if the digest is empty; None if there is none."""

    def read(self, entry: Entry) -> Reading:
        """Read and decode one picture; an error becomes the reading's ``reason``."""
        return self.read_file([entry])[0]

    def read_file(self, entries: Sequence[Entry]) -> list[Reading]:
        """Read one file and decode the frames that its entries name."""
        known = [self.kept(entry, b"") for entry in entries]
        missing = [entry for entry, reading in zip(entries, known, strict=True) if reading is None]
        decoded = iter(self._decoded(missing) if missing else [])
        return [reading or next(decoded) for reading in known]

    def _decoded(self, entries: Sequence[Entry]) -> list[Reading]:
        try:
            content = self.listing.read(entries[0])
            digest = digest_of(content)
            if entries[0].frame is None and (known := self.kept(entries[0], digest)):
                return [known]
            file = PictureFile(content)
        except (OSError, ValueError, MemoryError) as error:
            return [_bad(entry, error) for entry in entries]
        return [self._frame(file, entry, digest) for entry in entries]

    def _frame(self, file: PictureFile, entry: Entry, digest: bytes) -> Reading:
        try:
            picture = file.decode(self.height, self.width, self.options, self.ranges, entry.frame or 0)
        except (BadPicture, MemoryError) as error:
            return _bad(entry, error)
        return Reading(entry, digest if entry.frame is None else file.digest(), picture)


def _bad(entry: Entry, error: Exception) -> Reading:
    said = error.strerror if isinstance(error, OSError) else None
    return Reading(entry, b"", None, said or str(error) or type(error).__name__, isinstance(error, TooSmall))


def read_pictures(decoder: Decoder, entries: Sequence[Entry]) -> Iterator[Reading]:
    """Read all entries in order, with one thread for each core.

    Threads are enough, as Pillow releases Python's global interpreter lock while it decodes and resizes.
    """
    pool = ThreadPoolExecutor(cores.available(), "decoder")
    waiting: deque[Future[list[Reading]]] = deque()

    def read(files: Sequence[Sequence[Entry]]) -> list[Reading]:
        return [reading for file in files for reading in decoder.read_file(file)]

    try:
        for files in _portions(entries):
            waiting.append(pool.submit(read, files))
            if len(waiting) > AHEAD:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def with_frames(listing: Listing, options: PictureOptions) -> Listing:
    """Return the listing with one entry for each frame that ``--frames`` selects."""
    if options.frames == "first":
        return listing

    def frames(entry: Entry) -> list[Entry]:
        if not may_have_frames(entry.name):
            return [entry]
        try:
            numbers = PictureFile(listing.read(entry)).frame_numbers()
        except (OSError, ValueError, MemoryError):  # decoding it will report the error
            return [entry]
        wanted = numbers if options.frames == "all" else numbers[: int(options.frames)]
        return [replace(entry, frame=number) for number in wanted] if len(numbers) > 1 else [entry]

    with ThreadPoolExecutor(cores.available(), "decoder") as pool:
        return replace(listing, entries=[each for some in pool.map(frames, listing.entries) for each in some])


def _portions(entries: Sequence[Entry]) -> Iterator[list[list[Entry]]]:
    """Yield the entries of one task at a time; frames of a file stay together, up to a limit."""
    files: list[list[Entry]] = []
    for _, group in groupby(entries, key=lambda entry: entry.name):
        frames = list(group)
        for start in range(0, len(frames), MAX_FRAMES_TOGETHER):
            files.append(frames[start : start + MAX_FRAMES_TOGETHER])
            if len(files) == TOGETHER or len(files[-1]) > 1:
                yield files
                files = []
    if files:
        yield files
