"""Make a Typer command from a dataclass of settings."""

import inspect
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from typer import Argument, Option, Typer
from typer.core import TyperGroup
from typer.main import get_command

from gancli.cli.completion import completer
from gancli.errors import UsageError

if TYPE_CHECKING:
    from gancli.config.settings import Declared

S = TypeVar("S")
METAVARS = {int: "N", float: "NUMBER", str: "TEXT"}
COMMANDS = "Commands"
"""Heading of the commands in the help."""
LATER = "_made_later"
ARGUMENT = "_argument"
"""Suffix of parameters that are given without a flag."""


class CommandGroup(TyperGroup):
    """Builds the flags of a command only when it is called, so the list of commands appears quickly."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the called command and build its flags."""
        name, listed, rest = super().resolve_command(ctx, args)
        made_later = getattr(getattr(listed, "callback", None), LATER, None)
        return name, listed if made_later is None else made_later(name), rest


def add(app: Typer, name: str, run: Callable[[Any], object], flags: str, raw: bool = False) -> None:
    """Add a command that calls ``run`` with its settings.

    The settings are an instance of the dataclass named ``flags`` in `config.commands`. If ``raw``, they are a
    dictionary with only the values given on the command line.
    """

    def listed() -> None:
        """Placeholder in the list of commands; `CommandGroup` replaces it when the command is called."""

    def made_later(name: str) -> Any:
        from gancli.config import commands

        alone = Typer(rich_markup_mode="rich", add_completion=False)
        alone.command()(command(getattr(commands, flags), run, raw))
        made = get_command(alone)
        made.name = name
        return made

    listed.__doc__ = run.__doc__
    setattr(listed, LATER, made_later)
    app.command(name, rich_help_panel=COMMANDS)(listed)


def command(cls: type, run: Callable[[Any], object], raw: bool = False) -> Callable[..., None]:
    """A function whose parameters are the arguments and flags that ``cls`` declares; see `add`."""
    from gancli.config.settings import declarations
    from gancli.config.values import COMMAND_LINE, build

    def parsed(**values: Any) -> None:
        given = _given(cls, values)
        run(given if raw else build(cls, given, COMMAND_LINE))

    parameters = [parameter for each in declarations(cls).values() for parameter in _parameters(each)]
    parsed.__doc__ = run.__doc__
    parsed.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    parsed.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return parsed


def _given(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The given values; UsageError if one is missing, or is given both with and without its flag."""
    from gancli.config.settings import declarations

    given = {name: value for name, value in values.items() if value is not None and value != []}
    for name, each in declarations(cls).items():
        if (argument := given.pop(name + ARGUMENT, None)) is not None:
            if name in given:
                raise UsageError(f"{each.setting.metavar} is given twice: as an argument and with {each.flag}.")
            given[name] = argument
        if each.is_required and name not in given:
            wanted = (each.setting.metavar or name).removesuffix(" ...")
            raise UsageError(f"nothing is given for {wanted}{'' if is_argument(each) else f' (or {each.flag})'}.")
    return given


def built_apart(cls: type[S], given: Mapping[str, Any]) -> tuple[S, dict[str, Any]]:
    """Split the given values into a ``cls``, built from those that it declares, and the rest, unchanged."""
    from gancli.config.settings import declarations
    from gancli.config.values import COMMAND_LINE, build

    own = {name: value for name, value in given.items() if name in declarations(cls)}
    return build(cls, own, COMMAND_LINE), {name: value for name, value in given.items() if name not in own}


def is_argument(declared: "Declared") -> bool:
    """True if the setting has no flag."""
    return declared.setting.positional == "only"


def is_repeatable(hint: Any) -> bool:
    """True if the setting is a list, with one flag per entry."""
    origin = typing.get_origin(hint)
    return isinstance(origin, type) and issubclass(origin, Sequence)


def _parameters(declared: "Declared") -> Iterator[inspect.Parameter]:
    """The parameters of a setting: none for a table, two if it can be given with or without its flag."""
    origin = typing.get_origin(declared.hint)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return
    hint: Any = list[str] if is_repeatable(declared.hint) else bool if declared.hint is bool else str
    shown: dict[str, Any] = {
        "metavar": None if hint is bool else metavar_of(declared),
        "help": _help(declared),
        "show_default": False,
        "autocompletion": completer(declared),
    }
    positional = declared.setting.positional
    if positional != "no":
        metavar = shown["metavar"] if declared.is_required else f"[{shown['metavar']}]"
        argument = Argument(**(shown | {"metavar": metavar}))
        yield _parameter(declared.name + ARGUMENT, Annotated[hint | None, argument])
    if positional != "only":
        option = Option(*declared.flags, rich_help_panel=declared.panel, hidden=positional == "also", **shown)
        yield _parameter(declared.name, Annotated[hint | None, option])


def _parameter(name: str, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def metavar_of(declared: "Declared") -> str:
    """Placeholder of the value: ``DIR``, ``crop|pad|stretch``, or a word for its type."""
    kinds = [kind for kind in METAVARS if kind is declared.hint or kind in typing.get_args(declared.hint)]
    return declared.setting.metavar or "|".join(declared.choices()) or METAVARS[kinds[0] if kinds else str]


def default_in_words(declared: "Declared") -> str:
    """The default as text; empty if there is none."""
    default = declared.default
    if declared.setting.default_in_words is not None:
        return declared.setting.default_in_words
    if default is None or default is False or declared.is_required:
        return ""
    if isinstance(default, Sequence | Mapping) and not default:
        return ""
    if default is True:
        return declared.flag
    return f"{default:g}" if isinstance(default, float) else str(default)


def allowed(declared: "Declared") -> str:
    """The allowed values: ``at least 1``, ``minimax or non-saturating``; empty if any value of its type is allowed."""
    if declared.hint is bool:
        return "True or False"
    if choices := declared.choices():
        return " or ".join([*([declared.setting.bounds.in_words()] if int in typing.get_args(declared.hint) else []),
                            *choices])  # fmt: skip
    is_number = any(kind is declared.hint or kind in typing.get_args(declared.hint) for kind in (int, float))
    return declared.setting.bounds.in_words() if is_number else ""


def _help(declared: "Declared") -> str:
    default = default_in_words(declared)
    meaning = declared.setting.meaning.replace("[", "\\[")
    if declared.setting.positional == "also":
        meaning += f" Also as {declared.flag}."
    return f"{meaning} [dim]\\[default: {default}][/]" if default else meaning
