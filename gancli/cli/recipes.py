"""``gancli recipes``."""

import json
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from gancli.cli.command import allowed

if TYPE_CHECKING:
    from gancli.config.commands import RecipesFlags
    from gancli.recipes.base import Recipe, Spec


def recipes(told: "RecipesFlags") -> None:
    """List the GANs that can be trained, or one's hyperparameters.

    [bold]gancli recipes --image-size 64[/]   [bold]gancli recipes dcgan[/]
    """
    from gancli.config import parse_image_size
    from gancli.recipes import find, names
    from gancli.recipes.base import Spec

    spec = Spec(told.channels, *parse_image_size(told.image_size), told.classes)
    if told.name is None:
        summaries = {each: _summary(find(each), spec) for each in names()}
        print(json.dumps(summaries)) if told.json else _print_list(summaries, spec)
    else:
        _print_one(find(told.name), spec, told.json)


def _summary(recipe: "type[Recipe]", spec: "Spec") -> dict[str, Any]:
    from gancli.recipes.base import year_of

    g, d = _parameters(recipe, spec)
    return {
        "title": recipe.title, "year": year_of(recipe), "paper": recipe.paper, "when": recipe.when,
        "conditional": recipe.conditional, "parameters_g": g, "parameters_d": d,
    }  # fmt: skip


def _parameters(recipe: "type[Recipe]", spec: "Spec") -> tuple[int, int]:
    """Numbers of weights of G and D.

    The networks are really built, because some layers take seconds to initialise on torch's meta device.
    """
    networks = recipe().fitted(spec, images=50_000, length=1_000_000).networks(spec)
    g, d = (sum(parameter.numel() for parameter in network.parameters()) for network in networks)
    return g, d


def _print_list(summaries: dict[str, dict[str, Any]], spec: "Spec") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE, show_edge=False)
    for column in ("recipe", "year", "G, D weights", "when"):
        table.add_column(column, no_wrap=column != "when")
    for name, facts in summaries.items():
        sizes = ", ".join(_short(facts[f"parameters_{network}"]) for network in "gd")
        table.add_row(name, str(facts["year"]), sizes, facts["when"])
    Console().print(table)
    print(f"Weights for images of {spec.channels} x {spec.height} x {spec.width}.")
    print("gancli recipes NAME shows a recipe's paper and hyperparameters.")


def _short(count: int) -> str:
    return f"{count / 1e6:.1f}M" if count >= 1e6 else f"{count / 1e3:.0f}k"


def _print_one(recipe: "type[Recipe]", spec: "Spec", as_json: bool) -> None:
    from gancli.config.settings import declarations

    declared = declarations(recipe).values()
    head = _summary(recipe, spec) | {
        "batch_size": recipe.batch_size,
        "epochs": recipe.epochs,
        "draws_points": recipe.draws_points,
    }
    if as_json:
        table = {
            "hyperparameters": {each.name: each.default for each in declared},
            "meanings": {each.name: each.setting.meaning for each in declared},
            "allowed": {each.name: allowed(each) for each in declared},
        }
        print(json.dumps(head | table))
        return
    _print_columns([(key, str(value)) for key, value in head.items()])
    print()
    _print_columns([(each.name, str(each.default), allowed(each), each.setting.meaning) for each in declared])


def _print_columns(rows: list[tuple[str, ...]]) -> None:
    """Print columns; a terminal wraps the last one, a pipe gets one line per row."""
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]) - 1)]
    for *cells, last in rows:
        head = "".join(f"{cell:<{width}}  " for cell, width in zip(cells, widths, strict=True))
        lines = [last] if room is None else textwrap.wrap(last, max(20, room - len(head)))
        print(head + f"\n{' ' * len(head)}".join(lines))
