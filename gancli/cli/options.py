"""How the flags of the commands are declared."""

from typing import Any

from typer import Option


def flag(panel: str | None, metavar: str | None, meaning: str, default: str = "", *names: str) -> Any:
    """A flag; where the recipe, the data or the machine decides its ``default``, that is told in words."""
    told = f"{meaning} [dim]\\[default: {default}][/]" if default else meaning
    return Option(*names, metavar=metavar, help=told, show_default=not default, rich_help_panel=panel)
