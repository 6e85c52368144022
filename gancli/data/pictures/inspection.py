"""Inspect a folder or archive of pictures before training."""

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gancli.config.pictures import PictureOptions
from gancli.data.conditions import summary_of
from gancli.data.pictures import deep
from gancli.data.pictures.decoded_cache import Progress
from gancli.data.pictures.decoding import Picture
from gancli.data.pictures.facts import Facts, share_that_splits
from gancli.data.pictures.label_file import Row
from gancli.data.pictures.labels import imbalance, labels_of
from gancli.data.pictures.listing import Entry, Listing, list_pictures
from gancli.data.pictures.load import CHANNELS, say_other_share, usual_size
from gancli.data.pictures.reading import Decoder, read_pictures, with_frames
from gancli.data.pictures.remarks import frames_of, named, refusal, warnings_of

SHEET = 64


@dataclass
class Inspection:
    """Counts of a folder's pictures, how training would read them, and whether it would refuse them."""

    path: str
    image_size: tuple[int, int]
    """Height and width in training."""
    options: dict[str, Any]
    other_files: int
    unread: dict[str, int] = field(default_factory=dict)
    """Number of pictures in unsupported formats, by suffix; `other_files` includes them."""
    pictures: int = 0
    frames: int = 0
    """Frames and pages in these pictures' files, used or not."""
    values: list[str] = field(default_factory=list)
    """Values of pictures with more than 8 bits, and how they are scaled."""
    formats: Counter[str] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    """Height and width in the files."""
    classes: Counter[str] = field(default_factory=Counter)
    conditions: dict[str, dict[str, float]] = field(default_factory=dict)
    """See `conditions.summary_of`."""
    duplicates: list[list[str]] = field(default_factory=list)
    """Names of files with equal content."""
    transparent: int = 0
    enlarged: int = 0
    bad: list[tuple[str, str]] = field(default_factory=list)
    """Each file that cannot be read, with the reason."""
    too_small: list[tuple[str, str]] = field(default_factory=list)
    channels: int = 1
    heldout: int = 0
    memory_bytes: int = 0
    """Size of all decoded pictures: on the disk, and on the device if they fit there."""
    seconds: float = 0.0
    """Time to decode all pictures, once."""
    warnings: list[str] = field(default_factory=list)
    """Warnings, one sentence each."""
    refusal: str | None = None
    """The reason why training would refuse; None if it would not."""
    sheet: Tensor | None = None
    """Some pictures as training would see them, uint8 ``(n, C, H, W)``."""

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
    """Decode every picture once and count.

    ``size`` is (height, width); None takes the size that training would use. Raises UsageError if there are no
    pictures, or if wanted labels are missing, and DataError if an archive or ``dataset.json`` is damaged.
    """
    listing = with_frames(list_pictures(path), options)
    labels = labels_of(listing, options)
    height, width = size or usual_size(listing)
    inspection = Inspection(str(path), (height, width), options.as_dict(), listing.others, listing.unread)
    facts, shown, decoder = Facts(), list[Entry](), Decoder(listing, height, width, options)
    rows: list[Row] = []
    began, every = time.perf_counter(), max(1, len(listing.entries) // SHEET)
    on_progress(0, len(listing.entries))
    for number, reading in enumerate(read_pictures(decoder, listing.entries)):
        facts.take(number, reading, options)
        if reading.picture is not None:
            _count(inspection, reading.picture)
            if labels.numbers:
                inspection.classes[labels.classes[labels.numbers[number]]] += 1
            rows += labels.rows[number : number + 1]
            if number % every == 0 and len(shown) < SHEET:
                shown.append(reading.entry)
        on_progress(number + 1, len(listing.entries))
    inspection.seconds = round(time.perf_counter() - began, 3)
    if rows:
        inspection.conditions = summary_of(labels.conditions, torch.tensor(rows, dtype=torch.float64))
    _conclude(inspection, facts, listing, options)
    inspection.sheet = _sheet(replace(decoder, ranges=facts.ranges(options)), shown, inspection.channels)
    return inspection


def _sheet(decoder: Decoder, entries: Sequence[Entry], channels: int) -> Tensor | None:
    pictures = [reading.picture for reading in read_pictures(decoder, entries)]
    pixels = [torch.from_numpy(picture.pixels) for picture in pictures if picture is not None]
    return torch.stack(pixels)[:, :channels] if pixels else None


def _count(inspection: Inspection, picture: Picture) -> None:
    inspection.pictures += 1
    inspection.formats[picture.format] += 1
    inspection.modes[picture.mode] += 1
    inspection.sizes[picture.size] += 1


def _conclude(inspection: Inspection, facts: Facts, listing: Listing, options: PictureOptions) -> None:
    if (share := share_that_splits(facts, options.holdout)) not in (None, options.holdout):
        say_other_share(facts, options, share)
        facts = facts.split_anew(share or options.holdout)
    inspection.bad, inspection.too_small = (list(named(listing, rows)) for rows in (facts.bad, facts.too_small))
    inspection.transparent, inspection.enlarged = facts.count("has_alpha"), facts.count("is_enlarged")
    inspection.heldout, inspection.frames = len(facts.heldout), frames_of(listing, facts)
    inspection.values = deep.described(facts.deep(), facts.ranges(options))
    inspection.channels = 1 if facts.are_grey(options) else CHANNELS.get(options.color, 3)
    height, width = inspection.image_size
    inspection.memory_bytes = inspection.pictures * inspection.channels * height * width
    inspection.duplicates = _copies(facts, listing)
    inspection.warnings = warnings_of(listing, facts, options)
    inspection.warnings += [text] if (text := imbalance(inspection.classes)) else []
    inspection.refusal = refusal(listing, facts, options)


def _copies(facts: Facts, listing: Listing) -> list[list[str]]:
    """Groups of names of files with equal content."""
    names: dict[str, list[str]] = defaultdict(list)
    for seen in sorted(facts.seen()):
        names[seen.digest].append(listing.entries[seen.row].shown)
    return [each for each in names.values() if len(each) > 1]
