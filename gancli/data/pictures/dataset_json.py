"""Read labels from a ``dataset.json`` that the StyleGAN tools or a person wrote."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gancli.data.pictures.label_file import (
    FileLabels,
    Row,
    are,
    condition_names,
    is_number,
    is_one_hot,
    key_of,
    matched,
    unnamed,
)
from gancli.data.pictures.listing import Listing
from gancli.errors import DataError

MAX_SHOWN = 40
"""Characters of a wrong value that an error message shows."""
FORM = 'write {"labels": [["folder/name.png", 0], ...]}'


def json_labels(listing: Listing) -> FileLabels | None:
    r"""The labels of a listing's ``dataset.json``; None if it has none.

    A class is a number, a name or a one-hot list; a list ``classes`` in the file may name the numbers. Lists of other
    numbers are conditions, which a list ``conditions`` may name (else ``c0``, ``c1``, ...). A picture is named by its
    path from ``dataset.json`` or from the root, or by its file name alone. Paths may start with ``./`` and use ``\``.
    Raises DataError, which names the file, for anything else.
    """
    assert listing.labels is not None
    try:
        document = _parsed(listing.read(listing.labels))
        if (vectors := _vectors(document)) is not None:
            return FileLabels(
                {}, matched(vectors, listing), _condition_names(document, len(next(iter(vectors.values()))))
            )
        given = _labels(document)
        return None if given is None else FileLabels(matched(given, listing), {})
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


def _vectors(document: Any) -> dict[str, Row] | None:
    """Rows of conditions by normalised name; None if labels are classes, or if there are none."""
    is_named, entries = isinstance(document, Mapping) and "conditions" in document, _entries(document)
    if entries is None or not (is_named or any(_is_vector(value) for _, value in _pairs(entries))):
        return None
    rows: dict[str, Row] = {}
    for name, value in _pairs(entries):
        if value is None:
            continue
        row = _row(name, value)
        if len(row) != len(next(iter(rows.values()), row)):
            raise ValueError(f"{name!r} has the label {_short(value)}; all pictures must have as many numbers")
        if rows.setdefault(key_of(name), row) != row:
            raise ValueError(f"{name!r} is listed with more than one label; keep one of them")
    return rows or None


def _is_vector(value: Any) -> bool:
    """True for a list of several numbers that is not one-hot."""
    return isinstance(value, list) and len(value) > 1 and _are_numbers(value) and not is_one_hot(value)


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(type(each) in (int, float) for each in values)


def _row(name: str, value: Any) -> Row:
    numbers = value if isinstance(value, list) else [value]
    if not numbers or not _are_numbers(numbers) or not all(map(is_number, numbers)):
        raise ValueError(f"{name!r} has the label {_short(value)}, which is not a list of finite numbers")
    return tuple(map(float, numbers))


def _condition_names(document: Any, count: int) -> tuple[str, ...]:
    """The names in the file, or ``c0``, ``c1``, ... for ``count`` conditions."""
    names = document.get("conditions") if isinstance(document, Mapping) else None
    if names is None:
        return unnamed(count)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(names) != count:
        raise ValueError(f"its conditions are {_short(names)}, and pictures have {count} numbers; name each")
    return condition_names(names)


def _entries(document: Any) -> Any:
    """The entries of the file; None if it has no key for them."""
    return document.get("labels") if isinstance(document, Mapping) else document


def _labels(document: Any) -> dict[str, str] | None:
    """Labels by normalised name; None if there are none."""
    entries = _entries(document)
    if entries is None and isinstance(document, Mapping):
        return None
    names = _class_names(document)
    labels: dict[str, str | None] = {}
    conflicts: dict[str, tuple[str | None, str | None]] = {}
    for name, value in _pairs(entries):
        key, label = key_of(name), _label(name, value)
        if label is not None and not _is_name(value) and int(label) < len(names):
            label = names[int(label)]
        if labels.setdefault(key, label) != label:
            conflicts[name] = labels[key], label
    if conflicts:
        name, both = next(iter(conflicts.items()))
        raise ValueError(
            f"{are(len(conflicts), 'picture')} listed with more than one label, such as {name!r} with "
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
        if not _are_numbers(value) or not is_one_hot(value):
            raise ValueError(
                f"{name!r} has the label {_short(value)}, which is not one class; a list must be one-hot like "
                "[0, 1, 0], or all must be numbers"
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


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."
