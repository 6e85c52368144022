"""The class or the conditions of each picture, from its folder, ``dataset.json`` or ``labels.csv``."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from gancli.config.pictures import PictureOptions
from gancli.data.dataset import Split
from gancli.data.pictures.dataset_json import json_labels
from gancli.data.pictures.label_file import FileLabels, Row
from gancli.data.pictures.labels_csv import csv_labels
from gancli.data.pictures.listing import Listing, enclosing, is_plain
from gancli.errors import DataError, UsageError, counted

log = logging.getLogger(__name__)
T = TypeVar("T")
MAX_SHOWN_CLASSES = 3
SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval"}
"""If all folders have these names, they are splits, not classes."""
MIN_IMBALANCE = 10
"""Warn if the largest class has at least this many times the pictures of the smallest."""


@dataclass(frozen=True)
class Labels:
    """The class of each entry of a listing, or its conditions; all empty without labels."""

    numbers: tuple[int, ...] = ()
    """The class of each entry; -1: none."""
    classes: tuple[str, ...] = ()
    """Names of the classes."""
    rows: tuple[Row, ...] = ()
    """The conditions of each entry, in place of a class."""
    conditions: tuple[str, ...] = ()
    """Names of the conditions."""

    def split(self, images: Tensor, rows: Sequence[int]) -> Split:
        """A split of ``images`` with the labels of these entries."""
        if self.conditions:
            return Split(images, conditions=torch.tensor([self.rows[row] for row in rows], dtype=torch.float64))
        return Split(images, torch.tensor([self.numbers[row] for row in rows]) if self.numbers else None)


def labels_of(listing: Listing, options: PictureOptions) -> Labels:
    """The labels of all pictures, for a value of ``--labels``.

    Raises UsageError if ``folder`` does not give each picture one of at least two classes. Raises DataError for a
    ``dataset.json`` or ``labels.csv`` that is damaged or lacks a picture.
    """
    if options.labels == "folder":
        return _of_folders(listing)
    given = None if options.labels == "none" else _given(listing)
    if given is None:
        _mention_folders(listing)
        return Labels()
    if given.conditions:
        return Labels(rows=tuple(_of_all(listing, given.rows)), conditions=given.conditions)
    names = _of_all(listing, given.classes)
    if len(set(names)) == 1:
        log.warning(
            "all pictures of %s have the label %r; with one class, labels teach nothing.", listing.root, names[0]
        )
    return numbered(names)


def _given(listing: Listing) -> FileLabels | None:
    if listing.labels is None:
        return None
    return csv_labels(listing) if listing.labels.name.endswith(".csv") else json_labels(listing)


def _of_all(listing: Listing, by_name: Mapping[str, T]) -> list[T]:
    """The label of each entry; DataError if one is missing."""
    missing = [entry.name for entry in listing.entries if entry.name not in by_name]
    if missing:
        more = f" and {len(missing) - 1:,} more of {len(listing.entries):,} pictures" if len(missing) > 1 else ""
        assert listing.labels is not None
        raise DataError(
            f"{listing.labels.name} of {listing.root} has no label for {missing[0]!r}{more}; add what is missing, or "
            "use --labels none."
        )
    return [by_name[entry.name] for entry in listing.entries]


def numbered(names: Sequence[str]) -> Labels:
    """Number the classes, given the class name of each picture.

    Classes are in numerical order if all names are numbers, otherwise in alphabetical order.
    """
    are_numbers = all(name.isdecimal() for name in names)
    return _numbered(names, sorted(set(names), key=int) if are_numbers else sorted(set(names)))


def used(labels: Labels, train: Sequence[int], heldout: Sequence[int]) -> Labels:
    """Keep the classes that have a picture in ``train`` or ``heldout``, which are indices of the listing.

    Warns about classes without training pictures, and about classes of very different sizes. Conditions stay.
    """
    if labels.conditions:
        return labels
    learnt, shown = ({labels.numbers[row] for row in rows} if labels.numbers else set() for rows in (train, heldout))
    missing = [name for number, name in enumerate(labels.classes) if number not in learnt]
    if missing:
        names = ", ".join(map(repr, missing[:MAX_SHOWN_CLASSES])) + ", ..." * (len(missing) > MAX_SHOWN_CLASSES)
        log.warning("%d of %d classes have no picture to train on: %s", len(missing), len(labels.classes), names)
    if labels.numbers and (unequal := imbalance(_counts(labels, train))):
        log.warning("%s.", unequal)
    kept = {number: place for place, number in enumerate(sorted(learnt | shown))}
    return Labels(tuple(kept.get(n, -1) for n in labels.numbers), tuple(labels.classes[number] for number in kept))


def imbalance(counts: Mapping[str, int]) -> str:
    """A warning if some classes are far smaller than others; empty if not."""
    present = {name: count for name, count in counts.items() if count}
    if not present or max(present.values()) < MIN_IMBALANCE * min(present.values()):
        return ""
    largest, smallest = max(present, key=present.__getitem__), min(present, key=present.__getitem__)
    few = sum(present[largest] >= MIN_IMBALANCE * count for count in present.values())
    return (
        f"classes differ in size: {largest!r} has {counted(present[largest], 'picture')}, {smallest!r} has "
        f"{present[smallest]:,}; {'a class' if few == 1 else f'{few:,} classes'} of so few will look poor or like "
        "others, so add pictures there"
    )


def _counts(labels: Labels, rows: Sequence[int]) -> dict[str, int]:
    counts = dict.fromkeys(labels.classes, 0)
    for row in rows:
        counts[labels.classes[labels.numbers[row]]] += 1
    return counts


def _of_folders(listing: Listing) -> Labels:
    names = _class_folders(listing)
    classes = sorted(set(names) - {""})
    if len(classes) < 2:
        raise UsageError(f"--labels folder: {listing.root} has no folder for each of at least two classes.")
    if _are_splits(classes):
        raise UsageError(
            f"--labels folder: the folders {', '.join(classes)} of {listing.root} are splits, not classes; give "
            f"{_one_split(listing, classes)}."
        )
    if "" in names:
        stray = listing.entries[names.index("")].name
        raise UsageError(f"--labels folder: {stray!r} of {listing.root} is in no class's folder; move or remove it.")
    return _numbered(names, classes)


def _mention_folders(listing: Listing) -> None:
    """Log a hint if folders look like classes, or a warning if they look like splits; neither is used."""
    names = set(_class_folders(listing))
    if len(names) < 2 or "" in names:
        return
    if _are_splits(names):
        log.warning(
            "the folders %s of %s are read as one set; to leave test pictures out, give %s.",
            ", ".join(sorted(names)), listing.root, _one_split(listing, names),
        )  # fmt: skip
    else:
        log.info("%s has %d folders; --labels folder makes them classes.", listing.root, len(names))


def _are_splits(names: Iterable[str]) -> bool:
    return {name.lower() for name in names} <= SPLITS


def _one_split(listing: Listing, names: Iterable[str]) -> str:
    """Advice to use the training split alone."""
    split = min(names, key=lambda name: (not name.lower().startswith("train"), name))
    if listing.archive is not None:
        return f"an archive of {split} alone"
    above = next(path for path, name in zip(_folders(listing), _class_folders(listing), strict=True) if name == split)
    return f"--data {listing.root.joinpath(*above[: above.index(split) + 1])}"


def _class_folders(listing: Listing) -> list[str]:
    """The first folder of each picture below the folders that all pictures share; "" if there is none."""
    paths = _folders(listing)
    shared = len(enclosing(paths))
    return [path[shared] if len(path) > shared else "" for path in paths]


def _folders(listing: Listing) -> list[list[str]]:
    r"""The folders of each picture; archives from Windows may separate them by ``\``."""
    names = (entry.name if listing.archive is None else entry.name.replace("\\", "/") for entry in listing.entries)
    return [[part for part in name.split("/")[:-1] if part not in ("", ".")] for name in names]


def _numbered(names: Sequence[str], classes: Sequence[str]) -> Labels:
    number = {name: number for number, name in enumerate(classes)}
    shown = (name if is_plain(name) else name.encode("unicode_escape").decode() for name in classes)
    return Labels(tuple(number[name] for name in names), tuple(shown))
