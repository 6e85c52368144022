"""Many picture files decoded side by side, in order, with few of them in memory at a time."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import groupby

from gancli.config.pictures import PictureOptions
from gancli.data.pictures.decoding import BadPicture, Picture, PictureFile, TooSmall, digest_of
from gancli.data.pictures.deep import Ranges
from gancli.data.pictures.formats import may_have_frames
from gancli.data.pictures.listing import Entry, Listing
from gancli.machine import cores

TOGETHER = 8
"""Files that a thread reads before it hands them over."""
MAX_FRAMES_TOGETHER = 128
AHEAD = 8
"""Times `TOGETHER` files that are read ahead of those asked for."""


@dataclass(frozen=True)
class Reading:
    """What became of one file, or of one frame."""

    entry: Entry
    digest: bytes
    """8 bytes of a hash of its content; none where it cannot be used."""
    picture: Picture | None
    reason: str = ""
    """Why there is no picture."""
    too_small: bool = False
    """The file is sound, but the picture is smaller than asked for."""


@dataclass(frozen=True)
class Decoder:
    """How pictures of a listing are read: their shape, the options, and the range of deep ones."""

    listing: Listing
    height: int
    width: int
    options: PictureOptions
    ranges: Ranges = field(default_factory=Ranges)
    kept: Callable[[Entry, bytes], Reading | None] = lambda entry, digest: None
    """The reading that is known of an entry already, or of a content's digest; an empty digest is not known yet."""

    def read(self, entry: Entry) -> Reading:
        """Read and decode one picture; whatever is wrong with it ends up in the reason."""
        return self.read_file([entry])[0]

    def read_file(self, entries: Sequence[Entry]) -> list[Reading]:
        """Read one file and decode frames of it."""
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
    """Read each entry, in their order, by as many threads as there are cores.

    Pillow releases Python's lock while it decodes and resizes, so threads are enough.
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
    """The listing with an entry for each frame that ``--frames`` asks for, where a file has several."""
    if options.frames == "first":
        return listing

    def frames(entry: Entry) -> list[Entry]:
        if not may_have_frames(entry.name):
            return [entry]
        try:
            numbers = PictureFile(listing.read(entry)).frame_numbers()
        except (OSError, ValueError, MemoryError):  # what is wrong with it is said when it is decoded
            return [entry]
        wanted = numbers if options.frames == "all" else numbers[: int(options.frames)]
        return [replace(entry, frame=number) for number in wanted] if len(numbers) > 1 else [entry]

    with ThreadPoolExecutor(cores.available(), "decoder") as pool:
        return replace(listing, entries=[each for some in pool.map(frames, listing.entries) for each in some])


def _portions(entries: Sequence[Entry]) -> Iterator[list[list[Entry]]]:
    """Entries for a thread: frames of a file together, but not too many."""
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
