"""The class of each picture: the folder it lies in, or what a ``dataset.json`` of the StyleGAN tools says."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from gancli.config.pictures import PictureOptions
from gancli.data.pictures.listing import Listing, is_plain
from gancli.errors import DataError, UsageError

log = logging.getLogger(__name__)
SHOWN_CLASSES = 3


@dataclass(frozen=True)
class Labels:
    """The class of each entry of a listing, and the names of the classes; both empty without labels. -1: none."""

    numbers: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()


def labels_of(listing: Listing, options: PictureOptions) -> Labels:
    """What ``--labels`` asks for. UsageError if there are not at least two folders, DataError for a ``dataset.json``
    that is damaged or lacks a picture."""
    if options.labels == "none":
        return Labels()
    if options.labels == "folder":
        return _of_folders(listing)
    found = json_labels(listing)
    if found is None:
        return Labels()
    missing = [entry.name for entry in listing.entries if entry.name not in found]
    if missing:
        raise DataError(f"the dataset.json of {listing.root} has no label for {missing[0]!r}; use --labels none.")
    numbers = [found[entry.name] for entry in listing.entries]
    return _numbered([str(number) for number in numbers], [str(number) for number in sorted(set(numbers))])


def used(labels: Labels, train: Sequence[int], heldout: Sequence[int]) -> Labels:
    """Only the classes that have pictures in these places of the listing, with a warning of those that have none to
    train on, or none at all because each was left out."""
    learnt, shown = ({labels.numbers[row] for row in rows} if labels.numbers else set() for rows in (train, heldout))
    missing = [name for number, name in enumerate(labels.classes) if number not in learnt]
    if missing:
        names = ", ".join(map(repr, missing[:SHOWN_CLASSES])) + ", ..." * (len(missing) > SHOWN_CLASSES)
        log.warning("%d of %d classes have no picture to train on: %s", len(missing), len(labels.classes), names)
    kept = {number: place for place, number in enumerate(sorted(learnt | shown))}
    return Labels(tuple(kept.get(n, -1) for n in labels.numbers), tuple(labels.classes[number] for number in kept))


def json_labels(listing: Listing) -> dict[str, int] | None:
    """What a ``dataset.json``, as the StyleGAN tools write it, says of each name; None if there are no labels."""
    if listing.labels is None:
        return None
    try:
        pairs = json.loads(listing.read(listing.labels)).get("labels")
        return None if pairs is None else {str(name): _label(value) for name, value in pairs}
    except OSError as error:
        said = error.strerror or str(error)
    except AttributeError:
        said = "it has no table"
    except (ValueError, TypeError, RecursionError, MemoryError) as error:
        said = str(error) or type(error).__name__
    raise DataError(f"the dataset.json of {listing.root} is not a list of [name, label] ({said}); use --labels none.")


def _label(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**31:
        raise ValueError(f"{value!r} is not the number of a class")
    return value


def _of_folders(listing: Listing) -> Labels:
    names = _class_folders(listing)
    classes = sorted(set(names) - {""})
    if len(classes) < 2:
        raise UsageError(f"--labels folder: {listing.root} has no folder for each of at least two classes.")
    if "" in names:
        stray = listing.entries[names.index("")].name
        raise UsageError(f"--labels folder: {stray!r} of {listing.root} is in no class's folder; move or remove it.")
    return _numbered(names, classes)


def _class_folders(listing: Listing) -> list[str]:
    """The first folder of each picture below those that enclose all of them; empty where there is none."""
    paths = [PurePosixPath(entry.name).parts[:-1] for entry in listing.entries]
    shared = 0
    while all(len(path) > shared for path in paths) and len({path[shared] for path in paths}) == 1:
        shared += 1
    return [path[shared] if len(path) > shared else "" for path in paths]


def _numbered(names: Sequence[str], classes: Sequence[str]) -> Labels:
    number = {name: number for number, name in enumerate(classes)}
    shown = (name if is_plain(name) else name.encode("unicode_escape").decode() for name in classes)
    return Labels(tuple(number[name] for name in names), tuple(shown))
