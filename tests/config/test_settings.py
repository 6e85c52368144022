"""One field of one dataclass is a flag with its help, a keyword, a key, its bounds and its messages."""

import re
from dataclasses import dataclass

import pytest
from typer import Typer
from typer.testing import CliRunner

from gancli.cli.command import command
from gancli.config.settings import Settings, like, part_of, setting
from gancli.config.spelling import in_keywords
from gancli.config.values import COMMAND_LINE, build
from gancli.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Oven(Settings):
    """Settings of no command of gancli."""

    PANEL = "Heat"

    max_heat: int = setting(180, "Degrees.", at_least=50, below=300, metavar="DEGREES")
    fan: bool = setting(False, "Blow.")
    shelves: tuple[str, ...] = setting((), "What lies on each.", flags=("--shelf",))
    recipe_file: str | None = setting(None, "Where it is written.", is_path=True)


@dataclass(frozen=True, kw_only=True)
class Kitchen(Oven):
    """The same setting with another default and meaning."""

    max_heat: int = like(Oven, "max_heat", default=90, meaning="Less heat.")


def told(*arguments: str) -> Oven:
    """What a command is told by such arguments."""
    heard: list[Oven] = []
    app = Typer()
    app.command()(command(Oven, heard.append))
    outcome = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    return heard[0]


def test_a_field_is_a_flag_of_its_type() -> None:
    assert told() == Oven()
    assert told("--max-heat", "200", "--fan", "--shelf", "bread", "--shelf", "a, b") == Oven(
        max_heat=200, fan=True, shelves=("bread", "a, b")
    )


def test_the_help_shows_the_declaration() -> None:
    app = Typer(rich_markup_mode="rich")
    app.command()(command(Oven, print))
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "100", "NO_COLOR": "1"}).output
    assert re.search(r"Heat .*--max-heat +DEGREES +Degrees. \[default: 180\].*--fan +--no-fan", shown, re.DOTALL)


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        (49, "must be at least 50 and less than 300"),
        (300, "must be at least 50 and less than 300"),
        ("hot", "must be a whole number"),
        (1.5, "must be a whole number"),
    ],
)
def test_a_wrong_value_is_named_as_it_was_given(value: object, wrong: str) -> None:
    with pytest.raises(UsageError, match=f"^--max-heat .*{wrong}"):
        build(Oven, {"max_heat": value}, COMMAND_LINE)
    with pytest.raises(UsageError, match=f"^oven.toml: max_heat=.*{wrong}"):
        build(Oven, {"max_heat": value}, "oven.toml")


def test_bounds_hold_however_it_is_made() -> None:
    with pytest.raises(UsageError, match="--max-heat 10 must be at least 50"):
        Oven(max_heat=10)


def test_a_setting_declared_like_another_keeps_its_bounds() -> None:
    assert Kitchen().max_heat == 90
    with pytest.raises(UsageError, match="at least 50"):
        Kitchen(max_heat=10)


def test_a_part_of_the_settings() -> None:
    assert part_of(Kitchen(fan=True), Oven, max_heat=100) == Oven(max_heat=100, fan=True)


def test_the_home_is_found_where_no_shell_expands_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    for what in (COMMAND_LINE, "oven.toml"):
        assert build(Oven, {"recipe_file": "~/bread"}, what).recipe_file == "/home/ada/bread"


def test_messages_for_the_shell_become_messages_for_python() -> None:
    said = "--max-heat 400 is too hot: try --fan, --no-fan, --shelf or --unknown-flag 'x'."
    assert in_keywords(said, Oven) == ("max_heat=400 is too hot: try fan=True, fan=False, shelves or unknown_flag='x'.")


def test_a_path_may_be_called_none_where_no_file_is_below() -> None:
    assert build(Oven, {"recipe_file": "none"}, COMMAND_LINE).recipe_file == "none"
