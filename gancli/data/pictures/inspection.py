"""What a folder or an archive of pictures holds, found out before any training."""

import logging
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gancli.config.pictures import PictureOptions
from gancli.data.pictures.decoded_cache import Progress
from gancli.data.pictures.decoding import Picture
from gancli.data.pictures.facts import PARTS, Facts
from gancli.data.pictures.formats import advice
from gancli.data.pictures.labels import imbalance, labels_of
from gancli.data.pictures.listing import Listing, list_pictures
from gancli.data.pictures.load import CHANNELS, named, refusal, usual_size
from gancli.data.pictures.reading import read_pictures

log = logging.getLogger(__name__)
SHEET = 64


@dataclass
class Inspection:
    """Counts of everything that matters, what would be done, and whether training would refuse it."""

    path: str
    image_size: tuple[int, int]
    """Height and width that training would use."""
    options: dict[str, Any]
    other_files: int
    unread: dict[str, int] = field(default_factory=dict)
    """Pictures among the other files, in formats that are not read here, by suffix."""
    pictures: int = 0
    formats: Counter[str] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    """Height and width in the files."""
    classes: Counter[str] = field(default_factory=Counter)
    duplicates: list[list[str]] = field(default_factory=list)
    """Names of files of equal content."""
    transparent: int = 0
    enlarged: int = 0
    bad: list[tuple[str, str]] = field(default_factory=list)
    """Each file that cannot be read, and why."""
    too_small: list[tuple[str, str]] = field(default_factory=list)
    channels: int = 1
    heldout: int = 0
    memory_bytes: int = 0
    """Of all pictures, decoded; as much is taken on the disk, and on the device where it fits."""
    seconds: float = 0.0
    """That decoding took, as it would once before training."""
    refusal: str | None = None
    """Why training would not begin; None if it would."""
    sheet: Tensor | None = None
    """Some of the pictures as training would see them, uint8 ``(n, C, H, W)``."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        plain = {name: value for name, value in vars(self).items() if name != "sheet"}
        return plain | {"sizes": {f"{height}x{width}": n for (height, width), n in self.sizes.most_common()}}


def inspect(
    path: Path,
    size: tuple[int, int] | None,
    options: PictureOptions,
    on_progress: Progress = lambda done, total: None,
) -> Inspection:
    """Decode every picture once and count; UsageError if there is none, or if labels are asked for that are not."""
    listing = list_pictures(path)
    labels = labels_of(listing, options)
    height, width = size or usual_size(listing)
    found = Inspection(str(path), (height, width), options.as_dict(), listing.others, listing.unread)
    facts, shown = Facts(), list[Tensor]()
    began, every = time.perf_counter(), max(1, len(listing.entries) // SHEET)
    on_progress(0, len(listing.entries))
    for number, reading in enumerate(read_pictures(listing, listing.entries, height, width, options)):
        facts.take(number, reading, (height, width), options)
        if reading.picture is not None:
            _count(found, reading.picture)
            if labels.numbers:
                found.classes[labels.classes[labels.numbers[number]]] += 1
            if number % every == 0 and len(shown) < SHEET:
                shown.append(torch.from_numpy(reading.picture.pixels))
        on_progress(number + 1, len(listing.entries))
    found.seconds = round(time.perf_counter() - began, 3)
    _conclude(found, facts, listing, options)
    found.sheet = torch.stack(shown)[:, : found.channels] if shown else None
    return found


def _count(found: Inspection, picture: Picture) -> None:
    found.pictures += 1
    found.formats[picture.format] += 1
    found.modes[picture.mode] += 1
    found.sizes[picture.size] += 1


def _conclude(found: Inspection, facts: Facts, listing: Listing, options: PictureOptions) -> None:
    found.bad, found.too_small = (list(named(listing, rows)) for rows in (facts.bad, facts.too_small))
    found.transparent, found.enlarged, found.heldout = facts.transparent, facts.enlarged, len(facts.heldout)
    found.channels = 1 if facts.are_grey(options) else CHANNELS.get(options.color, 3)
    found.memory_bytes = found.pictures * found.channels * found.image_size[0] * found.image_size[1]
    found.duplicates = _copies(facts, listing)
    for warning in (advice(listing.unread), imbalance(found.classes)):
        if warning:
            log.warning("%s: %s", listing.root, warning)
    found.refusal = refusal(listing, facts, options)


def _copies(facts: Facts, listing: Listing) -> list[list[str]]:
    """Names of files of equal content, together."""
    names: dict[str, list[str]] = defaultdict(list)
    rows = sorted(row for part in PARTS for row in zip(facts.rows(part), facts.digests(part), strict=True))
    for row, digest in rows:
        names[digest].append(listing.entries[row].name)
    return [each for each in names.values() if len(each) > 1]
