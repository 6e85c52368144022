"""The declaration of a setting: one dataclass field that carries its meaning, its bounds and its flags.

The flag with its help, the keyword in Python, the key in a TOML file, the messages about wrong values and the
reference page are all made from it.
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
"""The default of a setting that must be given."""
MAX_NUMBER = 10**9
"""Bound of numbers unless a setting says otherwise; counters and libraries overflow somewhere beyond."""
_KEY = "setting"


@dataclass(frozen=True)
class Bounds:
    """The numbers that a setting may be."""

    at_least: float = -math.inf
    above: float = -math.inf
    below: float = math.inf
    at_most: float = math.inf
    limit: float = MAX_NUMBER
    """Absolute value beyond which something would overflow; only a message about a larger number says it."""

    def wrong(self, value: float) -> str | None:
        """Why a number is out of bounds, such as "must be more than 0"; None if it is not. NaN always is."""
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
    """What a field says of itself beyond its name, its type and its default."""

    meaning: str
    """One or two sentences, for the help and the reference page."""
    bounds: Bounds = Bounds()
    metavar: str | None = None
    """How the help calls the value; None: by its type or its choices."""
    default_in_words: str | None = None
    """Where the recipe, the data or the machine chooses; None: the default itself."""
    flags: tuple[str, ...] = ()
    """Spellings in the shell, if the field's name is not the flag's."""
    is_path: bool = False
    """Whether ``~`` stands for the user's home."""
    fixed: bool = False
    """Whether a resumed run cannot change it, because it would be another run."""
    positional: Literal["no", "also", "only"] = "no"
    """Whether it is given without a flag."""


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
    """A dataclass field that is a setting; ``more`` are fields of `Setting`, the others those of `Bounds`."""
    metadata = {_KEY: Setting(meaning, Bounds(at_least, above, below, at_most, limit), **more)}
    return field(default_factory=default, metadata=metadata) if default is dict else field(
        default=default, metadata=metadata
    )  # fmt: skip


def like(cls: type, name: str, **changes: Any) -> Any:
    """A field that is declared as the setting ``name`` of another dataclass, but for ``changes``.

    These are fields of `Setting`, and ``default``.
    """
    declared: Field[Any] = cls.__dataclass_fields__[name]  # type: ignore[attr-defined]
    default = changes.pop("default", declared.default)
    return field(default=default, metadata={_KEY: replace(declared.metadata[_KEY], **changes)})


@dataclass(frozen=True)
class Declared:
    """A setting with what its field says."""

    name: str
    setting: Setting
    hint: Any
    """Its type."""
    default: Any
    panel: str | None
    """Heading of the help under which it stands."""

    @property
    def flags(self) -> tuple[str, ...]:
        """Spellings in the shell: ``--batch-size``, or ``--mirror/--no-mirror`` for what is true or false."""
        flag = self.name.replace("_", "-")
        own = f"--{flag}/--no-{flag}" if self.hint is bool else f"--{flag}"
        return self.setting.flags or (own,)

    @property
    def flag(self) -> str:
        """The flag that messages name."""
        return self.flags[0].partition("/")[0]

    @property
    def is_required(self) -> bool:
        """Whether there is no default."""
        return self.default is MISSING

    def choices(self) -> tuple[str, ...]:
        """The words it may be, if its type says so."""
        return choices_of(self.hint)


def choices_of(hint: Any) -> tuple[str, ...]:
    """The words of the Literal that a type is or contains."""
    if typing.get_origin(hint) is typing.Literal:
        return typing.get_args(hint)
    return tuple(word for part in typing.get_args(hint) for word in choices_of(part))


def declarations(cls: type) -> dict[str, Declared]:
    """All settings of a dataclass in the order of its fields.

    A field that changes a base's default alone is declared as the base declares it. A field that is no setting at all,
    such as a callback, is not among them.
    """
    hints = typing.get_type_hints(cls)
    found = {}
    for each in fields(cls):
        if (setting_of_field := _setting(cls, each)) is not None:
            default = each.default if each.default_factory is MISSING else each.default_factory()
            found[each.name] = Declared(each.name, setting_of_field, hints[each.name], default, _panel(cls, each.name))
    return found


def _panel(cls: type, name: str) -> str | None:
    groups = [base for base in cls.__mro__ if issubclass(base, Settings)]
    return next((group.__dict__.get("PANEL") for group in groups if name in inspect.get_annotations(group)), None)


def _setting(cls: type, each: Field[Any]) -> Setting | None:
    metadata: list[Mapping[Any, Any]] = [each.metadata]
    for base in cls.__mro__[1:]:
        metadata += [own[each.name].metadata for own in [getattr(base, "__dataclass_fields__", {})] if each.name in own]
    return next((values[_KEY] for values in metadata if _KEY in values), None)


def part_of(settings: Any, cls: type[S], **more: Any) -> S:
    """The settings that ``cls`` declares, out of more that have them too; ``more`` are fields in place of those."""
    shared = {each.name: getattr(settings, each.name) for each in fields(cls) if hasattr(settings, each.name)}  # type: ignore[arg-type]
    return cls(**(shared | more))


def wrong_numbers(instance: Any) -> Iterator[tuple[Declared, str]]:
    """Numbers of a dataclass that are out of bounds, and why; a default may be, and stand for a choice."""
    for name, declared in declarations(type(instance)).items():
        value = getattr(instance, name)
        if type(value) in (int, float) and value != declared.default:
            wrong = declared.setting.bounds.wrong(value)
            if wrong is not None:
                yield declared, wrong


@dataclass(frozen=True)
class Settings:
    """Base of all groups of settings; UsageError for a number out of its bounds."""

    PANEL: ClassVar[str | None] = None
    """Heading of the help under which the group's flags stand."""
    OVER_A_FILE: ClassVar[bool] = False
    """Whether a file may set the same, so that the word none takes a value back."""

    def __post_init__(self) -> None:
        for declared, wrong in wrong_numbers(self):
            raise UsageError(f"{declared.flag} {getattr(self, declared.name)} {wrong}.")
