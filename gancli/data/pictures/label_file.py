"""The content of a file of labels, and which picture of a listing each label is for."""

import logging
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeVar

from gancli.data.pictures.listing import Listing, is_plain
from gancli.errors import counted

log = logging.getLogger(__name__)
T = TypeVar("T")
Row = tuple[float, ...]
MAX_VALUE = 1e30
"""Largest number of a condition, whose square float64 can still hold."""


@dataclass(frozen=True)
class FileLabels:
    """Labels by the name of a picture in the listing: class names, or rows of numbers if there are conditions."""

    classes: Mapping[str, str]
    rows: Mapping[str, Row]
    conditions: tuple[str, ...] = ()
    """Names of the numbers of a row."""


def condition_names(names: Sequence[str]) -> tuple[str, ...]:
    """The names in composed characters (NFC); ValueError unless ``--condition NAME=NUMBER`` can name each condition."""
    for name in names:
        if not name or name != name.strip() or set(name) & set("=,") or not is_plain(name):
            raise ValueError(f"{name!r} names no condition; a name is text without = and comma")
    composed = tuple(unicodedata.normalize("NFC", name) for name in names)
    if len(set(composed)) < len(composed):
        raise ValueError(f"two conditions are called {Counter(composed).most_common(1)[0][0]!r}")
    return composed


def unnamed(count: int) -> tuple[str, ...]:
    """Names of conditions that have none: ``c0``, ``c1``, ..."""
    return tuple(f"c{number}" for number in range(count))


def is_one_hot(row: Sequence[float]) -> bool:
    """True if several numbers name a class: one is 1, and all others are 0."""
    return len(row) > 1 and all(value in (0, 1) for value in row) and sum(row) == 1


def is_number(value: float) -> bool:
    """True for a finite number that conditions can have."""
    return abs(value) <= MAX_VALUE


def matched(given: Mapping[str, T], listing: Listing) -> dict[str, T]:
    """Labels by the name of a picture in the listing; pictures without a label are left out.

    ``given`` has labels by `key_of`: the path from the file of labels or from the root, or the file name alone.
    """
    assert listing.labels is not None
    folder = PurePosixPath(listing.labels.name).parent.as_posix()
    keys = {entry.name: key_of(entry.name) for entry in listing.entries}
    prefix = "" if folder == "." else key_of(folder) + "/"
    labels: dict[str, T] = {}
    for name, own in keys.items():
        wanted = next((each for each in (own.removeprefix(prefix), own) if each in given), None)
        if wanted is not None:
            labels[name] = given[wanted]
    if not labels:
        labels = _by_file_name(given, keys)
    unknown = set(given) - {form for own in keys.values() for form in (own, own.removeprefix(prefix), _last(own))}
    if unknown:
        log.warning(
            "%s of %s: %s for no picture that is there, such as %r.",
            listing.labels.name, listing.root, are(len(unknown), "label"), min(unknown),
        )  # fmt: skip
    return labels


def _by_file_name(given: Mapping[str, T], keys: Mapping[str, str]) -> dict[str, T]:
    """Match labels by file name alone, if it is unique."""
    times = Counter(_last(own) for own in keys.values())
    return {name: given[_last(own)] for name, own in keys.items() if _last(own) in given and times[_last(own)] == 1}


def key_of(name: str) -> str:
    """Normalise a name: ``/`` as separator, no leading ``./``, composed characters (NFC)."""
    plain = unicodedata.normalize("NFC", name).replace("\\", "/")
    while plain.startswith("./"):
        plain = plain[2:]
    return plain


def _last(own: str) -> str:
    return own.rpartition("/")[2]


def are(number: int, noun: str) -> str:
    """``1 label is``, ``2 labels are``."""
    return f"{counted(number, noun)} {'is' if number == 1 else 'are'}"
