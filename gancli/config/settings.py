"""Declare a setting as one dataclass field with its meaning, bounds and flags.

The flag and its help, the Python keyword, the TOML key, messages about wrong values and the reference page are made
from this field.
"""

import inspect
import math
import typing
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from typing import Any, ClassVar, Literal, TypeVar

from gancli.errors import UsageError

S = TypeVar("S")
REQUIRED: Any = MISSING
"""The default of a required setting."""
MAX_NUMBER = 10**9
"""Default bound of numbers; larger ones overflow counters and libraries."""
_KEY = "setting"
Completes = Literal["recipe", "data", "run", "class", "classes", "hyperparameter"]
"""Kinds of values that a shell can offer; `gancli.cli.completion` finds them."""


@dataclass(frozen=True)
class Bounds:
    """The allowed values of a number."""

    at_least: float = -math.inf
    above: float = -math.inf
    below: float = math.inf
    at_most: float = math.inf
    limit: float = MAX_NUMBER
    """Largest absolute value, beyond which something overflows; shown only in the message about a larger one."""

    def wrong(self, value: float) -> str | None:
        """The reason why a value is not allowed, such as "must be more than 0"; None if it is. NaN never is."""
        if not (self.at_least <= value and self.above < value < self.below and value <= self.at_most):
            return f"must be {self.in_words()}"
        return None if abs(value) <= self.limit else f"must be at most {_number(self.limit)}"

    def in_words(self) -> str:
        """``more than 0 and at most 1``; empty without bounds."""
        words = []
        if self.at_least > -math.inf:
            words.append(f"at least {_number(self.at_least)}")
        if self.above > -math.inf:
            words.append(f"more than {_number(self.above)}")
        if self.below < math.inf:
            words.append(f"less than {_number(self.below)}")
        if self.at_most < math.inf:
            words.append(f"at most {_number(self.at_most)}")
        return " and ".join(words)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


@dataclass(frozen=True)
class Setting:
    """The metadata of a field that is a setting; name, type and default are the field's own."""

    meaning: str
    """One or two sentences, for the help and the reference page."""
    bounds: Bounds = Bounds()
    metavar: str | None = None
    """Placeholder of the value in the help; None: its type or choices."""
    default_in_words: str | None = None
    """Text for the default where the recipe, the data or the machine decides; None: the default itself."""
    flags: tuple[str, ...] = ()
    """Spellings of the flag, if they do not follow from the field's name."""
    is_path: bool = False
    """True if ``~`` means the user's home."""
    fixed: bool = False
    """True if a resumed run cannot change it, because that would make it another run."""
    positional: Literal["no", "also", "only"] = "no"
    """If "also" or "only", the value is given without a flag."""
    formerly: str | None = None
    """The name in files of older versions, which is still read."""
    completes: Completes | tuple[str, ...] | None = None
    """The values that a shell offers for it, as a kind or as words; None: its choices."""


def setting(
    default: Any,
    meaning: str,
    *,
    at_least: float = -math.inf,
    above: float = -math.inf,
    below: float = math.inf,
    at_most: float = math.inf,
    limit: float = MAX_NUMBER,
    **more: Any,
) -> Any:
    """A dataclass field that is a setting; ``more`` are fields of `Setting`, the other keywords those of `Bounds`."""
    metadata = {_KEY: Setting(meaning, Bounds(at_least, above, below, at_most, limit), **more)}
    return field(default_factory=default, metadata=metadata) if default is dict else field(
        default=default, metadata=metadata
    )  # fmt: skip


def like(cls: type, name: str, **changes: Any) -> Any:
    """A field declared like the setting ``name`` of another dataclass.

    ``changes`` are fields of `Setting`, and ``default``.
    """
    declared: Field[Any] = cls.__dataclass_fields__[name]  # type: ignore[attr-defined]
    default = changes.pop("default", declared.default)
    return field(default=default, metadata={_KEY: replace(declared.metadata[_KEY], **changes)})


@dataclass(frozen=True)
class Declared:
    """A setting together with name, type and default of its field."""

    name: str
    setting: Setting
    hint: Any
    """The field's type."""
    default: Any
    panel: str | None
    """Heading of its group in the help."""

    @property
    def flags(self) -> tuple[str, ...]:
        """Spellings in the shell: ``--batch-size``, or ``--mirror/--no-mirror`` for a bool."""
        flag = self.name.replace("_", "-")
        own = f"--{flag}/--no-{flag}" if self.hint is bool else f"--{flag}"
        return self.setting.flags or (own,)

    @property
    def flag(self) -> str:
        """The flag as messages name it."""
        return self.flags[0].partition("/")[0]

    @property
    def is_required(self) -> bool:
        """True if there is no default."""
        return self.default is MISSING

    def choices(self) -> tuple[str, ...]:
        """The allowed words, if its type is a Literal or contains one."""
        return choices_of(self.hint)


def choices_of(hint: Any) -> tuple[str, ...]:
    """The words of the Literals in a type."""
    if typing.get_origin(hint) is typing.Literal:
        return typing.get_args(hint)
    return tuple(word for part in typing.get_args(hint) for word in choices_of(part))


def declarations(cls: type) -> dict[str, Declared]:
    """All settings of a dataclass by name, in the order of its fields.

    A field that only changes the default of a base class keeps the base's metadata. Fields that are not settings, such
    as callbacks, are left out.
    """
    hints = typing.get_type_hints(cls)
    declared = {}
    for each in fields(cls):
        if (own := _setting(cls, each)) is not None:
            default = each.default if each.default_factory is MISSING else each.default_factory()
            declared[each.name] = Declared(each.name, own, hints[each.name], default, _panel(cls, each.name))
    return declared


def _panel(cls: type, name: str) -> str | None:
    groups = [base for base in cls.__mro__ if issubclass(base, Settings)]
    return next((group.__dict__.get("PANEL") for group in groups if name in inspect.get_annotations(group)), None)


def _setting(cls: type, each: Field[Any]) -> Setting | None:
    metadata: list[Mapping[Any, Any]] = [each.metadata]
    for base in cls.__mro__[1:]:
        metadata += [own[each.name].metadata for own in [getattr(base, "__dataclass_fields__", {})] if each.name in own]
    return next((values[_KEY] for values in metadata if _KEY in values), None)


def part_of(settings: Any, cls: type[S], **more: Any) -> S:
    """Make ``cls`` from an object that has its settings among others; ``more`` are fields that override them."""
    shared = {each.name: getattr(settings, each.name) for each in fields(cls) if hasattr(settings, each.name)}  # type: ignore[arg-type]
    return cls(**(shared | more))


def wrong_numbers(instance: Any) -> Iterator[tuple[Declared, str]]:
    """Numbers of a dataclass that are out of bounds, each with the reason; a default is always allowed."""
    for name, declared in declarations(type(instance)).items():
        value = getattr(instance, name)
        if type(value) in (int, float) and value != declared.default:
            wrong = declared.setting.bounds.wrong(value)
            if wrong is not None:
                yield declared, wrong


@dataclass(frozen=True)
class Settings:
    """Base of all groups of settings; UsageError for a number out of bounds."""

    PANEL: ClassVar[str | None] = None
    """Heading of the group in the help."""
    OVER_A_FILE: ClassVar[bool] = False
    """True if a file may contain the same settings; the word none then resets a value."""

    def __post_init__(self) -> None:
        for declared, wrong in wrong_numbers(self):
            raise UsageError(f"{declared.flag} {getattr(self, declared.name)} {wrong}.")
