"""A folder or an archive of pictures as a data set: sized, labelled, split by content, and decoded once."""

import logging
import statistics
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor

from gancli.data.dataset import DataSet, Split
from gancli.data.decoded_cache import Decoded, Progress, decoded
from gancli.data.decoding import BadPicture, header_size
from gancli.data.listing import Entry, Listing, list_pictures
from gancli.data.options import PictureOptions
from gancli.errors import DataError, UsageError

log = logging.getLogger(__name__)
LOOKED_AT = 200
"""Pictures whose headers decide on the size, if none is asked for."""
USUAL_SIDES = (64, 32, 16, 8)
MOST_BAD = 0.1
SHOWN_BAD = 3


def load(
    path: Path, size: tuple[int, int] | None, options: PictureOptions, on_progress: Progress = lambda done, total: None
) -> DataSet:
    """The pictures below a folder or in a zip file, at ``size`` (height, width) or at one that suits them.

    Raises UsageError if there are no pictures or no labels where they are asked for, and DataError for bad files,
    more than a tenth of them even if they are to be skipped.
    """
    listing = list_pictures(path)
    labels, classes = labels_of(listing, options)
    height, width = size or usual_size(listing)
    found = decoded(listing, height, width, options, on_progress)
    require_sound(path, found, options)
    if not len(found.train) or not len(found.heldout):
        raise DataError(
            f"{path} has {len(listing.entries)} pictures, too few to hold {options.holdout:g} of them out by their "
            "content; add pictures or change --holdout."
        )
    splits = [_split(images, names, labels) for images, names in ((found.train, found.train_names),
                                                                  (found.heldout, found.heldout_names))]  # fmt: skip
    _say_what_is_done(path, found, (height, width), classes)
    name = str(path.absolute())
    return DataSet(name, splits[0], splits[1], classes, None, found.fingerprint(labels), found.bad, options.as_dict())


def labels_of(listing: Listing, options: PictureOptions) -> tuple[dict[str, int], tuple[str, ...]]:
    """The class of each name, and the names of the classes; both empty without labels."""
    if options.labels == "none":
        return {}, ()
    if options.labels == "folder":
        folders = {entry.name: _class_folder(entry, _common_parts(listing.entries)) for entry in listing.entries}
        classes = sorted(set(folders.values()))
        if "" in classes or len(classes) < 2:
            raise UsageError(f"--labels folder: {listing.root} has no folder for each of at least two classes.")
        return {name: classes.index(folder) for name, folder in folders.items()}, tuple(classes)
    found = listing.json_labels()
    if found is None:
        return {}, ()
    missing = [entry.name for entry in listing.entries if entry.name not in found]
    if missing:
        raise DataError(f"the dataset.json of {listing.root} has no label for {missing[0]!r}; use --labels none.")
    return found, tuple(str(number) for number in range(max(found.values()) + 1))


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


def require_sound(path: Path, found: Decoded, options: PictureOptions) -> None:
    """DataError if files are bad and are not to be skipped, or if they are too many to be skipped."""
    if not found.bad:
        return
    total = len(found.bad) + len(found.train) + len(found.heldout)
    examples = "; ".join(f"{name!r} {reason}" for name, reason in found.bad[:SHOWN_BAD])
    examples += "; ..." if len(found.bad) > SHOWN_BAD else ""
    if options.bad_images == "error":
        raise DataError(
            f"{len(found.bad)} of {total} pictures in {path} cannot be used: {examples}. "
            "Mend or remove them, or add --bad-images skip; gancli data check lists all."
        )
    if len(found.bad) > MOST_BAD * total:
        raise DataError(
            f"{len(found.bad)} of {total} pictures in {path} cannot be used, more than {MOST_BAD:.0%}: {examples}."
        )
    log.warning("%d of %d pictures are left out: %s", len(found.bad), total, examples)


def _common_parts(entries: list[Entry]) -> int:
    """How many folders enclose all pictures together, and so are no classes."""
    paths = [PurePosixPath(entry.name).parts[:-1] for entry in entries]
    shared = 0
    while all(len(path) > shared for path in paths) and len({path[shared] for path in paths}) == 1:
        shared += 1
    return shared


def _class_folder(entry: Entry, shared: int) -> str:
    parts = PurePosixPath(entry.name).parts[shared:-1]
    return parts[0] if parts else ""


def _split(images: Tensor, names: list[str], labels: dict[str, int]) -> Split:
    return Split(images, torch.tensor([labels[name] for name in names]) if labels else None)


def _say_what_is_done(path: Path, found: Decoded, size: tuple[int, int], classes: tuple[str, ...]) -> None:
    colours = {1: "grey", 3: "RGB", 4: "RGBA"}[found.train.shape[1]]
    notes = [
        f"{len(found.train):,} pictures to train on, {len(found.heldout):,} held out",
        f"{size[0]}x{size[1]} {colours}",
    ]
    notes += [f"{len(classes)} classes"] if classes else []
    notes += [f"{found.small:,} were smaller and are enlarged"] if found.small else []
    notes += [f"{found.transparent:,} have transparency"] if found.transparent else []
    log.info("%s: %s", path, ", ".join(notes))
