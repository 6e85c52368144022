"""``gancli recipes``."""

from typing import Annotated

from typer import Argument, Option

from gancli.cli import output


def recipes(
    name: Annotated[str | None, Argument(help="Show this recipe's hyperparameters.", show_default=False)] = None,
    as_json: Annotated[bool, Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List the GANs that can be trained, or one's hyperparameters."""
    from gancli import config
    from gancli.recipes import base, find, names

    if name is None:
        found = {each: find(each) for each in names()}
        listing = {each: f"{recipe.title}: {recipe.when}" for each, recipe in found.items()}
        output.print_result(listing, as_json)
        return
    recipe = find(name)
    defaults, meanings = config.defaults_of(recipe), base.meanings(recipe)
    parameters = {key: f"{value!s:<16} {meanings[key]}" for key, value in defaults.items()}
    head = {"paper": recipe.paper, "batch_size": recipe.batch_size, "epochs": recipe.epochs}
    output.print_result(head | (defaults if as_json else parameters), as_json)
