"""Convert untyped values from a file, a flag or a call to the dataclass that declares them; typos get a hint."""

import contextlib
import os
import re
import sys
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import PurePath
from typing import Any, Literal, TypeVar

from gancli.config.settings import Declared, declarations
from gancli.config.spelling import in_keywords
from gancli.errors import UsageError, nearest

T = TypeVar("T")
COMMAND_LINE = "the command line"
"""The source of values whose messages name flags instead of keys."""
NAMED_DURATIONS = {"overnight": "8h"}
MAX_DURATION = 365 * 86400.0
KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def build(cls: type[T], values: Mapping[str, Any], what: str) -> T:
    """Make the dataclass ``cls`` from untyped values, each converted to its field's type.

    ``what`` names the source of the values in messages, such as a file. Values of `COMMAND_LINE` are named as flags,
    others as keys.

    Raises:
        UsageError: a name is unknown (the message has the nearest known one), or a value is wrong.
    """
    converted = typed(cls, values, what)
    with _naming(cls, what):
        return cls(**converted)


def typed(cls: type, values: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Values for fields of ``cls``, each converted to its field's type; raises as `build` does."""
    hints, declared, values = typing.get_type_hints(cls), declarations(cls), current_names(cls, values)
    allowed = [f.name for f in fields(cls)]
    for name in values:
        if name not in allowed:
            raise UsageError(f"{what} has no {name!r}; {nearest(name, allowed)}")
    with _naming(cls, what):
        takes_back = getattr(cls, "OVER_A_FILE", True)
        return {
            name: None
            if takes_back and value == "none" and type(None) in typing.get_args(hints[name])
            else _typed(value, hints[name], name, declared.get(name))
            for name, value in values.items()
        }


def current_names(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The same values with former names of settings replaced by current ones; of two for one setting the later wins."""
    former = {each.setting.formerly: name for name, each in declarations(cls).items() if each.setting.formerly}
    return {former.get(name, name): value for name, value in values.items()}


@contextlib.contextmanager
def _naming(cls: type, what: str) -> Iterator[None]:
    """In this context, errors name the source of the values, except the command line."""
    try:
        yield
    except ValueError as error:
        raise UsageError(f"{what}: {error}") from error
    except UsageError as error:
        if what == COMMAND_LINE:
            raise
        raise UsageError(f"{what}: {in_keywords(str(error), cls)}") from error


def _typed(value: Any, hint: Any, name: str, declared: Declared | None) -> Any:
    if declared is None:
        return convert(value, hint, f"{name}={value!r}")
    if value == "":
        raise UsageError(f"{declared.flag} is empty; remove it or give it a value.")
    typed = convert(value, hint, f"{declared.flag} {value!r}")
    return _in_home(typed) if declared.setting.is_path else typed


def _in_home(typed: Any) -> Any:
    """The path, or the paths, with ``~`` expanded to the user's home; unchanged if there is no such user."""
    if isinstance(typed, tuple):
        return tuple(map(_in_home, typed))
    return os.path.expanduser(typed) if isinstance(typed, str) else typed  # noqa: PTH111


def convert(value: Any, hint: Any, given: str) -> Any:
    """Convert a TOML value or a flag's text to the type ``hint``.

    UsageError says what is allowed; in it ``given`` names the value, such as ``steps='many'``.
    """
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return _converted_to_one_of(value, typing.get_args(hint), given)
    origin = typing.get_origin(hint)
    if origin is Literal:
        choices = typing.get_args(hint)
        return value if value in choices else _refuse(given, nearest(str(value), map(str, choices)), ": ")
    if origin is not None and issubclass(origin, Mapping):
        return dict(value) if isinstance(value, Mapping) else _refuse(given, "a table")
    if origin is not None and issubclass(origin, Sequence):
        many = isinstance(value, Sequence) and not isinstance(value, str)
        return tuple(convert(each, typing.get_args(hint)[0], given) for each in (value if many else (value,)))
    return _scalar(value, hint, given)


def _converted_to_one_of(value: Any, hints: Sequence[Any], given: str) -> Any:
    if value is None:
        return None
    words = [word for hint in hints for word in typing.get_args(hint) if isinstance(word, str)]
    if value in words:
        return value
    if isinstance(value, Mapping) and (tables := [hint for hint in hints if _is_table(hint)]):
        return convert(value, tables[0], given)
    several = [hint for hint in hints if isinstance(typing.get_origin(hint), type)]
    if several and isinstance(value, Sequence) and not isinstance(value, str):
        return convert(value, several[0], given)
    plain = [hint for hint in hints if hint is not type(None) and typing.get_origin(hint) is None]
    if not plain:
        return convert(value, hints[0], given)
    wanted = plain[0]
    if words and isinstance(value, str) and not value.isdecimal():
        _refuse(given, f"{KINDS[wanted]} or {' or '.join(words)}")
    return convert(value, wanted, given)


def _is_table(hint: Any) -> bool:
    origin = typing.get_origin(hint)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _scalar(value: Any, hint: type, given: str) -> Any:
    if hint is str and isinstance(value, PurePath):
        return str(value)
    if isinstance(value, str) and hint is not str:
        if hint is bool:
            return value == "true" if value in ("true", "false") else _refuse(given, KINDS[bool])
        try:
            value = hint(value)
        except ValueError:
            return _refuse(given, KINDS[hint])
    if hint is float and type(value) in (int, float):
        return float(value) if abs(value) <= sys.float_info.max else _refuse(given, "a finite number")
    if hint is str and type(value) is int:
        return str(value)
    return value if type(value) is hint else _refuse(given, KINDS[hint])


def _refuse(given: str, wanted: str, verb: str = " must be ") -> Any:
    raise UsageError(f"{given}{verb}{wanted}{'' if verb == ': ' else '.'}")


def parse_image_size(text: str) -> tuple[int, int]:
    """``"64"`` -> (64, 64) and ``"64x96"`` -> (64, 96), height first; sides from 4 to 1024."""
    parts = text.lower().split("x")
    if len(parts) in (1, 2) and all(part.isdecimal() and 4 <= int(part) <= 1024 for part in parts):
        return int(parts[0]), int(parts[-1])
    raise UsageError(f"--image-size {text!r} is not a size; write 64 or HEIGHTxWIDTH like 64x96, sides 4 to 1024.")


def parse_duration(text: str) -> float:
    """``"20m"``, ``"1h30m"``, ``"90s"`` or ``"overnight"``, which is 8 hours -> seconds."""
    parts = re.fullmatch(r"(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s)?", NAMED_DURATIONS.get(text, text).lower())
    with contextlib.suppress(ValueError):
        hours, minutes, seconds = (float(part or 0) for part in (parts.groups() if parts else ("", "", "")))
        if 0 < (total := 3600 * hours + 60 * minutes + seconds) <= MAX_DURATION:
            return total
    raise UsageError(f"--time {text!r} is not a time; write 20m, 1h30m, 90s or overnight, a year at most.")
