"""Facts about the pictures of a listing, collected while decoding: splits, digests, traits and bad files."""

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, NamedTuple

import numpy as np

from gancli.config.pictures import PictureOptions
from gancli.data.pictures import deep
from gancli.data.pictures.decoding import VERSION, Traits
from gancli.data.pictures.deep import SIXTEEN, Deep, Ranges
from gancli.data.pictures.listing import Entry, Listing
from gancli.data.pictures.reading import Decoder, Reading, read_pictures

PARTS = ("train", "heldout")
BLOCK_BYTES = 2**25
MAX_IN_BLOCK = 1024


class Seen(NamedTuple):
    """A picture that was decoded."""

    row: int
    """Index in the listing."""
    digest: str
    """Hash of its file's content, 16 hexadecimal digits."""
    stamp: str
    """Hash of its file's name, size and time, 16 hexadecimal digits."""
    traits: Traits


@dataclass
class Facts:
    """Facts about consecutive pictures, by index in the listing; JSON-serialisable."""

    done: int = 0
    """Number of files that were read."""
    train: list[Seen] = field(default_factory=list)
    heldout: list[Seen] = field(default_factory=list)
    bad: list[tuple[int, str]] = field(default_factory=list)
    """Index and reason of each file that cannot be read."""
    too_small: list[tuple[int, str]] = field(default_factory=list)
    """Index and reason of each picture that is skipped because of its size."""

    @staticmethod
    def of_json(line: str) -> "Facts":
        """Parse a line that `json` made; raises KeyError, TypeError or ValueError for any other."""
        plain = json.loads(line)
        for part in PARTS:
            plain[part] = [_seen_of(*columns) for columns in plain[part]]
        return Facts(**plain)

    def json(self) -> str:
        """The facts as one line of JSON."""
        return json.dumps(asdict(self)) + "\n"

    def add(self, later: "Facts") -> None:
        """Append the facts about the pictures that follow."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(later, each.name))

    def take(self, number: int, reading: Reading, options: PictureOptions) -> str:
        """Record the next reading; returns the split of its picture, or "" if there is none."""
        self.done += 1
        picture = reading.picture
        if picture is None:
            (self.too_small if reading.too_small else self.bad).append((number, reading.reason))
            return ""
        part = "heldout" if is_heldout(reading.digest, options.holdout) else "train"
        self.part(part).append(Seen(number, reading.digest.hex(), stamp_of(reading.entry), picture.traits))
        return part

    def split_anew(self, share: float) -> "Facts":
        """The same pictures with another share held out."""
        parts: dict[bool, list[Seen]] = {False: [], True: []}
        for seen in sorted(self.seen()):
            parts[is_heldout(bytes.fromhex(seen.digest), share)].append(seen)
        return replace(self, train=parts[False], heldout=parts[True])

    def part(self, name: str) -> list[Seen]:
        """The pictures of one split."""
        return self.train if name == "train" else self.heldout

    def rows(self, part: str) -> list[int]:
        """The indices of one split's pictures in the listing."""
        return [seen.row for seen in self.part(part)]

    def seen(self) -> list[Seen]:
        """All decoded pictures."""
        return [*self.train, *self.heldout]

    def count(self, trait: str) -> int:
        """Number of pictures with a trait."""
        return sum(bool(getattr(seen.traits, trait)) for seen in self.seen())

    def deep(self) -> list[Deep]:
        """The values of each picture with more than 8 bits."""
        return [seen.traits.deep for seen in self.seen() if seen.traits.deep is not None]

    def ranges(self, options: PictureOptions) -> Ranges:
        """The range that scales all pictures with more than 8 bits."""
        return deep.ranges_of(self.deep(), options.range)

    def are_grey(self, options: PictureOptions) -> bool:
        """Return True if all pictures are grey and ``--color auto`` may use one channel."""
        return options.color == "auto" and all(seen.traits.is_grey for seen in self.seen())

    def fingerprint(
        self,
        shape: tuple[int, int, int],
        options: PictureOptions,
        labels: Sequence[object],
        conditions: Sequence[str] = (),
    ) -> str:
        """16 hexadecimal digits that identify pixels, order, split and labels, computed without reading pixels.

        ``labels`` has one for each entry of the listing, or none. ``conditions`` are the names of their numbers.
        ``shape`` is ``(C, H, W)``.
        """
        made = (VERSION, shape, options.fit, options.alpha)
        digest = hashlib.blake2b(str(made).encode(), digest_size=8)
        for part in PARTS:
            digest.update(part.encode())
            for seen in self.part(part):
                digest.update(f"{seen.digest}{labels[seen.row] if labels else ''}\n".encode())
        ranges = self.ranges(options)
        if any(each.kind != SIXTEEN or each.is_colour or ranges != Ranges() for each in self.deep()):
            digest.update(str(ranges).encode())  # all others decode as in version 0.1.0
        if any(each.is_inverted for each in self.deep()):
            digest.update(b"inverted")
        if conditions:
            digest.update(str(tuple(conditions)).encode())
        return digest.hexdigest()


def _seen_of(row: int, digest: str, stamp: str, traits: list[Any]) -> Seen:
    plain = Traits(*traits)
    return Seen(row, digest, stamp, plain if plain.deep is None else plain._replace(deep=Deep(*plain.deep)))


@dataclass
class Block:
    """Consecutive decoded pictures with their facts."""

    facts: Facts
    pixels: dict[str, list[np.ndarray]]
    """Pictures of each split, uint8 ``(C, H, W)``."""


def stamp_of(entry: Entry) -> str:
    """16 hexadecimal digits that change with a file's name, size or time."""
    about = f"{entry.name}\0{entry.size}\0{entry.stamp}\0{entry.frame}"
    return hashlib.blake2b(about.encode(errors="surrogatepass"), digest_size=8).hexdigest()


def is_heldout(digest: bytes, share: float) -> bool:
    """Return True if a file with this digest is held out.

    This depends on the content alone: adding, renaming or reordering files moves none, and copies share a split.
    """
    return int.from_bytes(digest, "big") < int(share * 2**64)


def share_that_splits(facts: Facts, wanted: float) -> float | None:
    """The share nearest to ``wanted`` that holds out some pictures but not all, in whole per cent if possible.

    None if all pictures have the same content.
    """
    places = [int(seen.digest, 16) / 2**64 for seen in facts.seen()]
    least, most = min(places, default=0.0), max(places, default=0.0)
    if least == most:
        return None
    if least < wanted <= most:
        return wanted
    percent = math.floor(100 * least + 1) if wanted <= least else math.floor(100 * most)
    return percent / 100 if least < percent / 100 <= most else (least + most) / 2


def read_blocks(decoder: Decoder, done: int, shape: tuple[int, int, int]) -> Iterator[Block]:
    """Decode the pictures after the first ``done`` to ``shape`` ``(C, H, W)``, block by block."""
    listing: Listing = decoder.listing
    size = max(1, min(MAX_IN_BLOCK, BLOCK_BYTES // math.prod(shape)))
    block = Block(Facts(), {part: [] for part in PARTS})
    for number, reading in enumerate(read_pictures(decoder, listing.entries[done:]), done):
        part = block.facts.take(number, reading, decoder.options)
        if reading.picture is not None:
            block.pixels[part].append(reading.picture.pixels)
        if block.facts.done == size or number + 1 == len(listing.entries):
            yield block
            block = Block(Facts(), {part: [] for part in PARTS})
