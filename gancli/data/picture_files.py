"""A folder or an archive of pictures as a data set: sized, labelled, split by content, and decoded once."""

import logging
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor

from gancli.data.dataset import DataSet, Split
from gancli.data.decoded_cache import Progress, Shape, decoded
from gancli.data.decoding import BadPicture, header_size
from gancli.data.facts import PARTS, Facts
from gancli.data.listing import Listing, list_pictures
from gancli.data.options import Colour, PictureOptions
from gancli.data.streaming import streamed
from gancli.errors import DataError, UsageError

log = logging.getLogger(__name__)
LOOKED_AT = 200
"""Pictures whose headers decide on the size, if none is asked for."""
USUAL_SIDES = (64, 32, 16, 8)
MOST_BAD = 0.1
SHOWN_BAD = 3
CHANNELS = {"grey": 1, "rgba": 4}
COLOURS = {1: "grey", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True)
class Labels:
    """The class of each entry of a listing, and the names of the classes; both empty without labels."""

    numbers: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()


def load(
    path: Path,
    size: tuple[int, int] | None,
    options: PictureOptions,
    on_progress: Progress = lambda done, total: None,
    cache: bool = True,
) -> DataSet:
    """The pictures below a folder or in a zip file, at ``size`` (height, width) or at one that suits them.

    With ``cache`` they are decoded once, into the user's cache folder; else whenever they are needed. Raises
    UsageError if there are no pictures, or no labels where they are asked for, and DataError for bad files, more than
    a tenth of them even if they are to be skipped.
    """
    listing = list_pictures(path)
    labels = labels_of(listing, options)
    shape = (CHANNELS.get(options.color, 3), *(size or usual_size(listing)))
    images, facts = (decoded if cache else streamed)(listing, shape, options, on_progress)
    bad = named(listing, facts.bad)
    refused = refusal(len(facts.train), len(facts.heldout), bad, options)
    if refused:
        raise DataError(f"{path}: {refused}.")
    shape = (images["train"].shape[1], *shape[1:])
    _say_what_is_done(path, facts, shape, options, labels.classes, size is None)
    train, heldout = (Split(images[part], _chosen(labels, facts.rows(part))) for part in PARTS)
    fingerprint = facts.fingerprint(shape, labels.numbers)
    skipped = bad + named(listing, facts.too_small)
    name = str(path.absolute())
    return DataSet(name, train, heldout, labels.classes, None, fingerprint, skipped, options.as_dict())


def load_all(
    path: Path,
    shape: Shape,
    options: PictureOptions,
    on_progress: Progress = lambda done, total: None,
    cache: bool = True,
) -> Tensor:
    """All pictures below a folder or in a zip file, without a split, in the order of their names.

    uint8 ``(N, C, H, W)`` of that ``shape``, ``(C, H, W)``. Errors are those of `load`.
    """
    listing = list_pictures(path)
    colour: Colour = "grey" if shape[0] == 1 else "rgba" if shape[0] == 4 else "rgb"
    wanted = replace(
        options, color=colour, alpha=options.alpha if shape[0] == 4 or options.alpha != "keep" else "white"
    )
    images, facts = (decoded if cache else streamed)(listing, shape, wanted, on_progress)
    bad = named(listing, facts.bad)
    if (bad and options.bad_images == "error") or len(bad) > MOST_BAD * len(listing.entries):
        raise DataError(f"{path}: {refusal(len(facts.train), len(facts.heldout), bad, options)}.")
    order = torch.tensor([*facts.train, *facts.heldout]).argsort()
    return torch.cat([images[part][:] for part in PARTS])[order]


def labels_of(listing: Listing, options: PictureOptions) -> Labels:
    """What ``--labels`` asks for. UsageError if there are not at least two folders, DataError for a ``dataset.json``
    that is damaged or lacks a picture."""
    if options.labels == "none":
        return Labels()
    if options.labels == "folder":
        names = _class_folders(listing)
        if "" in names or len(set(names)) < 2:
            raise UsageError(f"--labels folder: {listing.root} has no folder for each of at least two classes.")
        return _numbered(names, sorted(set(names)))
    found = listing.json_labels()
    if found is None:
        return Labels()
    missing = [entry.name for entry in listing.entries if entry.name not in found]
    if missing:
        raise DataError(f"the dataset.json of {listing.root} has no label for {missing[0]!r}; use --labels none.")
    numbers = [found[entry.name] for entry in listing.entries]
    return _numbered([str(number) for number in numbers], [str(number) for number in sorted(set(numbers))])


def usual_size(listing: Listing) -> tuple[int, int]:
    """The one size of all pictures looked at, if it is from 8 to 256 a side; else 64 or the next that they have."""
    step = max(1, len(listing.entries) // LOOKED_AT)
    sizes = []
    for entry in listing.entries[::step]:
        try:
            sizes.append(header_size(listing.read(entry)))
        except (BadPicture, ValueError, OSError):
            continue
    if not sizes:
        return USUAL_SIDES[-1], USUAL_SIDES[-1]
    if len(set(sizes)) == 1 and all(8 <= side <= 256 for side in sizes[0]):
        return sizes[0]
    shorter = statistics.median(min(size) for size in sizes)
    side = next((side for side in USUAL_SIDES if side <= shorter), USUAL_SIDES[-1])
    return side, side


def refusal(train: int, heldout: int, bad: Sequence[tuple[str, str]], options: PictureOptions) -> str | None:
    """Why training would not begin with so many sound pictures and these bad files; None if it would."""
    total = train + heldout + len(bad)
    examples = "; ".join(f"{name!r} {reason}" for name, reason in bad[:SHOWN_BAD])
    examples += "; ..." if len(bad) > SHOWN_BAD else ""
    if bad and options.bad_images == "error":
        return (
            f"{len(bad):,} of {total:,} pictures cannot be used: {examples}. Mend or remove them, or add "
            "--bad-images skip; gancli data check lists all"
        )
    if len(bad) > MOST_BAD * total:
        return f"{len(bad):,} of {total:,} pictures cannot be used, more than {MOST_BAD:.0%}: {examples}"
    if not train or not heldout:
        return (
            f"of {total - len(bad):,} pictures {heldout:,} would be held out by their content, and {train:,} be left "
            f"to train on; add pictures or change --holdout {options.holdout:g}"
        )
    return None


def named(listing: Listing, rows: Sequence[tuple[int, str]]) -> tuple[tuple[str, str], ...]:
    """Places in the listing with reasons, as names with reasons."""
    return tuple((listing.entries[row].name, reason) for row, reason in rows)


def _numbered(names: Sequence[str], classes: Sequence[str]) -> Labels:
    number = {name: number for number, name in enumerate(classes)}
    return Labels(tuple(number[name] for name in names), tuple(classes))


def _class_folders(listing: Listing) -> list[str]:
    """The first folder of each picture below those that enclose all of them; empty where there is none."""
    paths = [PurePosixPath(entry.name).parts[:-1] for entry in listing.entries]
    shared = 0
    while all(len(path) > shared for path in paths) and len({path[shared] for path in paths}) == 1:
        shared += 1
    return [path[shared] if len(path) > shared else "" for path in paths]


def _chosen(labels: Labels, rows: Sequence[int]) -> Tensor | None:
    return torch.tensor([labels.numbers[row] for row in rows]) if labels.numbers else None


def _say_what_is_done(
    path: Path, facts: Facts, shape: Shape, options: PictureOptions, classes: tuple[str, ...], size_is_chosen: bool
) -> None:
    """The policy in a line or two."""
    channels, height, width = shape
    hint = " (--image-size changes it)" if size_is_chosen else ""
    notes = [
        f"{len(facts.train):,} pictures to train on, {len(facts.heldout):,} held out by content",
        f"{height}x{width} {COLOURS[channels]}{hint}, fit {options.fit}",
    ]
    notes += [f"{len(classes)} classes"] if classes else []
    if facts.transparent:
        ground = "kept" if channels == 4 else f"on {options.alpha}"
        notes.append(f"{facts.transparent:,} with transparent pixels, {ground}")
    log.info("%s: %s", path, "; ".join(notes))
    if facts.enlarged:
        log.warning("%d pictures are smaller and are enlarged; --small-images skip leaves them out.", facts.enlarged)
    if facts.bad or facts.too_small:
        log.warning(
            "%d bad files and %d too small pictures are left out; a run's skipped.jsonl names each.",
            len(facts.bad), len(facts.too_small),
        )  # fmt: skip
