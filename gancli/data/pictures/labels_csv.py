"""Read conditions or classes from a ``labels.csv``: a header, then a line for each picture."""

import csv
import io
import logging
import re
from collections.abc import Iterator

from gancli.data.pictures.label_file import FileLabels, Row, condition_names, is_number, key_of, matched
from gancli.data.pictures.listing import Listing
from gancli.errors import DataError

log = logging.getLogger(__name__)
FIRST = "file"
"""Name of the first column; a ``labels.csv`` with another one is not read."""
CLASS = "class"
"""Name of the only other column, if it holds classes."""
OTHER_SEPARATOR = re.compile(rf"{FIRST}([;\t|])")
Line = tuple[int, list[str]]
"""Number of a line, and its cells."""


def csv_labels(listing: Listing) -> FileLabels | None:
    """The labels of a listing's ``labels.csv``; None if its header does not begin with ``file``.

    Columns are ``file`` and one for each condition, whose cells are numbers; or ``file`` and ``class``. Pictures are
    named as in a ``dataset.json``. Raises DataError, which names the line, for anything else.
    """
    assert listing.labels is not None
    name = f"{listing.labels.name} of {listing.root}"
    try:
        lines = _lines(listing.read(listing.labels))
        _, header = next(lines, (1, [""]))
        if other := OTHER_SEPARATOR.match(header[0].lower()):
            raise ValueError(f"line 1 has {other[1]!r} between its cells; save it with commas, and points in numbers")
        if header[0].lower() != FIRST:
            log.info("%s is not read: its header does not begin with %r.", name, FIRST)
            return None
        return _labels(header[1:], lines, listing)
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: it is not text in UTF-8; save it as that, or use --labels none.") from error
    except (OSError, ValueError, csv.Error) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DataError(f"{name}: {said}; or use --labels none.") from error


def _lines(content: bytes) -> Iterator[Line]:
    """Lines that are not blank, with stripped cells."""
    reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), skipinitialspace=True)
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield reader.line_num, [cell.strip() for cell in cells]


def _labels(columns: list[str], lines: Iterator[Line], listing: Listing) -> FileLabels:
    if not columns:
        raise ValueError(f"line 1 names no column beside {FIRST!r}; write {FIRST},smile,age or {FIRST},{CLASS}")
    if [column.lower() for column in columns] == [CLASS]:
        classes = {name: cells[0] for name, (_, cells) in _by_picture(columns, lines).items()}
        return FileLabels(matched(classes, listing), {})
    if CLASS in (column.lower() for column in columns):
        raise ValueError(f"line 1 has more columns than {CLASS!r}; write a column of 0 and 1 for each class")
    names = condition_names(columns)
    rows = {name: _numbers(columns, *line) for name, line in _by_picture(columns, lines).items()}
    return FileLabels({}, matched(rows, listing), names)


def _by_picture(columns: list[str], lines: Iterator[Line]) -> dict[str, Line]:
    """The line of each picture, without its name; ValueError if a cell is missing or lines contradict each other."""
    by_picture: dict[str, Line] = {}
    for number, (name, *cells) in lines:
        if len(cells) != len(columns):
            raise ValueError(f"line {number} has {len(cells) + 1} cells, and the header {len(columns) + 1}")
        if "" in (name, *cells):
            raise ValueError(f"line {number} has no value for {[FIRST, *columns][[name, *cells].index('')]!r}")
        before, known = by_picture.setdefault(key_of(name), (number, cells))
        if known != cells:
            raise ValueError(f"line {number} has other labels for {name!r} than line {before}; keep one of them")
    return by_picture


def _numbers(columns: list[str], number: int, cells: list[str]) -> Row:
    row = []
    for column, cell in zip(columns, cells, strict=True):
        try:
            row.append(float(cell))
        except ValueError:
            row.append(float("nan"))
        if not is_number(row[-1]):
            raise ValueError(
                f"line {number}: {column} is {cell[:40]!r}, not a number; a column of classes is the only one, and "
                f"called {CLASS!r}"
            )
    return tuple(row)
