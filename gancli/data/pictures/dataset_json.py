"""Read labels from a ``dataset.json`` that the StyleGAN tools or a person wrote."""

import json
import logging
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from gancli.data.pictures.listing import Listing
from gancli.errors import DataError

log = logging.getLogger(__name__)
MAX_SHOWN = 40
"""Characters of a wrong value that an error message shows."""
FORM = 'write {"labels": [["folder/name.png", 0], ...]}'


def json_labels(listing: Listing) -> dict[str, str] | None:
    r"""The class of each picture, by its name in the listing; None if there is no ``dataset.json`` or no label.

    A class is a number, a name or a one-hot list; a list ``classes`` in the file may name the numbers. A picture is
    named by its path from ``dataset.json`` or from the root, or by its file name alone. Paths may start with ``./`` and
    use ``\``. Raises DataError, which names the file, for anything else.
    """
    if listing.labels is None:
        return None
    try:
        given = _labels(_parsed(listing.read(listing.labels)))
        return None if given is None else _matched(given, listing)
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DataError(f"{listing.labels.name} of {listing.root}: {said}; or use --labels none.") from error


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not valid JSON, see line {error.lineno}, column {error.colno}") from error
    except UnicodeDecodeError as error:
        raise ValueError("it is not text in UTF-8; save it as that") from error
    except RecursionError as error:
        raise ValueError(f"it is nested too deeply; {FORM}") from error


def _labels(document: Any) -> dict[str, str] | None:
    """Labels by normalised name; None if there are none."""
    entries = document.get("labels") if isinstance(document, Mapping) else document
    if entries is None and isinstance(document, Mapping):
        return None
    names = _class_names(document)
    labels: dict[str, str | None] = {}
    conflicts: dict[str, tuple[str | None, str | None]] = {}
    for name, value in _pairs(entries):
        key, label = _key(name), _label(name, value)
        if label is not None and not _is_name(value) and int(label) < len(names):
            label = names[int(label)]
        if labels.setdefault(key, label) != label:
            conflicts[name] = labels[key], label
    if conflicts:
        name, both = next(iter(conflicts.items()))
        raise ValueError(
            f"{_count(len(conflicts), 'picture')} listed with more than one label, such as {name!r} with "
            f"{both[0]} and {both[1]}; a picture has one class here, so keep one of them"
        )
    labelled = {name: label for name, label in labels.items() if label is not None}
    return labelled if labelled or not labels else None


def _class_names(document: Any) -> list[str]:
    """Class names by number, as ``gancli sample`` writes them; empty unless all are different names."""
    names = document.get("classes") if isinstance(document, Mapping) else None
    if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
        return []
    return names if len(set(names)) == len(names) else []


def _pairs(labels: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(labels, list | Mapping) or labels == []:
        raise ValueError(f"it has no list of labels; {FORM}")
    pairs = labels.items() if isinstance(labels, Mapping) else labels
    for number, pair in enumerate(pairs, 1):
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not isinstance(pair[0], str):
            raise ValueError(f"entry {number} of its labels is {_short(pair)}, not a picture's name and label; {FORM}")
        yield pair[0], pair[1]


def _is_name(value: Any) -> bool:
    """True if a class is given by name, or by a list with a name as its only item."""
    return isinstance(value, str) or (isinstance(value, list) and len(value) == 1 and isinstance(value[0], str))


def _label(name: str, value: Any) -> str | None:
    """A class as text; None for null."""
    if isinstance(value, list) and len(value) > 1:
        if any(type(each) not in (int, float) or each not in (0, 1) for each in value) or sum(value) != 1:
            raise ValueError(
                f"{name!r} has the label {_short(value)}, which is not one class; a list must be one-hot like [0, 1, 0]"
            )
        return str(value.index(1))
    single = value[0] if isinstance(value, list) and value else value
    if isinstance(single, float) and single.is_integer():
        single = int(single)
    if single is None or (isinstance(single, str) and single.strip()):
        return single and single.strip()
    if type(single) is not int or not 0 <= single < 2**31:
        raise ValueError(
            f"{name!r} has the label {_short(value)}; a label is a class's number from 0 on, its name, or one-hot"
        )
    return str(single)


def _matched(given: Mapping[str, str], listing: Listing) -> dict[str, str]:
    """Labels by the name of a picture in the listing; pictures without a label are left out."""
    assert listing.labels is not None
    folder = PurePosixPath(listing.labels.name).parent.as_posix()
    keys = {entry.name: _key(entry.name) for entry in listing.entries}
    prefix = "" if folder == "." else _key(folder) + "/"
    labels: dict[str, str] = {}
    for name, key in keys.items():
        wanted = next((each for each in (key.removeprefix(prefix), key) if each in given), None)
        if wanted is not None:
            labels[name] = given[wanted]
    if not labels:
        labels = _by_file_name(given, keys)
    unknown = set(given) - {form for key in keys.values() for form in (key, key.removeprefix(prefix), _last(key))}
    if unknown:
        log.warning(
            "%s of %s: %s for no picture that is there, such as %r.",
            listing.labels.name, listing.root, _count(len(unknown), "label"), min(unknown),
        )  # fmt: skip
    return labels


def _by_file_name(given: Mapping[str, str], keys: Mapping[str, str]) -> dict[str, str]:
    """Match labels by file name alone, if it is unique."""
    times = Counter(_last(key) for key in keys.values())
    return {name: given[_last(key)] for name, key in keys.items() if _last(key) in given and times[_last(key)] == 1}


def _key(name: str) -> str:
    """Normalise a name: ``/`` as separator, no leading ``./``, composed characters (NFC)."""
    plain = unicodedata.normalize("NFC", name).replace("\\", "/")
    while plain.startswith("./"):
        plain = plain[2:]
    return plain


def _last(key: str) -> str:
    return key.rpartition("/")[2]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun} is" if number == 1 else f"{number:,} {noun}s are"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."
