"""What is known of the pictures of a listing once each was decoded: their split, digests, and which are of no use."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from gancli.config.pictures import PictureOptions
from gancli.data.pictures.decoding import VERSION
from gancli.data.pictures.listing import Listing
from gancli.data.pictures.reading import Reading, read_pictures

PARTS = ("train", "heldout")
BLOCK_BYTES = 2**25
MOST_IN_BLOCK = 1024


@dataclass
class Facts:
    """Of a run of pictures, which are meant by their place in the listing. Plain data, for JSON."""

    done: int = 0
    """How many files were looked at."""
    train: list[int] = field(default_factory=list)
    heldout: list[int] = field(default_factory=list)
    train_digests: list[str] = field(default_factory=list)
    heldout_digests: list[str] = field(default_factory=list)
    bad: list[tuple[int, str]] = field(default_factory=list)
    """Files that cannot be read, and why."""
    too_small: list[tuple[int, str]] = field(default_factory=list)
    """Pictures that were left out because of their size."""
    colourful: int = 0
    """Pictures that are not grey."""
    enlarged: int = 0
    transparent: int = 0

    def add(self, later: "Facts") -> None:
        """Take in what is known of the pictures that follow."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(later, each.name))

    def take(self, number: int, reading: Reading, size: tuple[int, int], options: PictureOptions) -> str:
        """Note what became of the next file; returns the split its picture is in, empty if there is no picture."""
        self.done += 1
        picture = reading.picture
        if picture is None:
            (self.too_small if reading.too_small else self.bad).append((number, reading.reason))
            return ""
        part = "heldout" if is_heldout(reading.digest, options.holdout) else "train"
        self.rows(part).append(number)
        self.digests(part).append(reading.digest.hex())
        self.colourful += not picture.is_grey
        self.enlarged += picture.size[0] < size[0] or picture.size[1] < size[1]
        self.transparent += picture.has_alpha
        return part

    def rows(self, part: str) -> list[int]:
        """Places in the listing of one split."""
        return self.train if part == "train" else self.heldout

    def digests(self, part: str) -> list[str]:
        """Of the same pictures in the same order, of their files' contents."""
        return self.train_digests if part == "train" else self.heldout_digests

    def are_grey(self, options: PictureOptions) -> bool:
        """Whether one channel holds all there is, and that is wanted."""
        return options.color == "auto" and not self.colourful

    def fingerprint(self, shape: tuple[int, int, int], options: PictureOptions, labels: Sequence[int]) -> str:
        """16 hexadecimal digits of all that the pixels come from, order, split and labels (none, or one for each entry
        of the listing), for which no pixel has to be read. ``shape`` is ``(C, H, W)``."""
        made = (VERSION, shape, options.fit, options.alpha)
        digest = hashlib.blake2b(str(made).encode(), digest_size=8)
        for part in PARTS:
            digest.update(part.encode())
            for row, content in zip(self.rows(part), self.digests(part), strict=True):
                digest.update(f"{content}{labels[row] if labels else ''}\n".encode())
        return digest.hexdigest()


@dataclass
class Block:
    """Pictures that follow each other, decoded, and the facts of them alone."""

    facts: Facts
    pixels: dict[str, list[np.ndarray]]
    """Of each split, uint8 ``(C, H, W)``."""


def is_heldout(digest: bytes, share: float) -> bool:
    """Whether a file of this digest is held out. It depends on the content alone: other files, names and order move
    nothing, and copies are on one side."""
    return int.from_bytes(digest, "big") < int(share * 2**64)


def share_that_splits(digests: Sequence[str]) -> float | None:
    """The least share of held-out files, in whole per cent if it can be, that leaves some of these on each side; None
    if there is none, since all are equal."""
    places = [int(digest, 16) / 2**64 for digest in digests]
    least, most = min(places, default=0.0), max(places, default=0.0)
    rounded = math.floor(100 * least + 1) / 100
    return None if least == most else rounded if rounded <= most else (least + most) / 2


def read_blocks(listing: Listing, done: int, shape: tuple[int, int, int], options: PictureOptions) -> Iterator[Block]:
    """The pictures after the first ``done``, decoded to ``shape`` ``(C, H, W)``."""
    _, height, width = shape
    size = max(1, min(MOST_IN_BLOCK, BLOCK_BYTES // math.prod(shape)))
    readings = read_pictures(listing, listing.entries[done:], height, width, options)
    block = Block(Facts(), {part: [] for part in PARTS})
    for number, reading in enumerate(readings, done):
        part = block.facts.take(number, reading, (height, width), options)
        if reading.picture is not None:
            block.pixels[part].append(reading.picture.pixels)
        if block.facts.done == size or number + 1 == len(listing.entries):
            yield block
            block = Block(Facts(), {part: [] for part in PARTS})
