"""Make docs/reference.md: ``python -m gancli.cli.reference > docs/reference.md``.

Commands, flags, keywords, keys and hyperparameters come from their declarations.
"""

from collections.abc import Iterable, Iterator

from gancli import recipes
from gancli.cli.command import allowed, default_in_words, is_argument, metavar_of
from gancli.config import TrainConfig
from gancli.config.commands import COMMANDS
from gancli.config.deploy_command import Exporting
from gancli.config.evaluate_command import Measuring
from gancli.config.sample_command import Reconstructing, Sampling
from gancli.config.settings import Declared, declarations
from gancli.config.train_command import Training

FUNCTIONS = {
    "train": Training, "sample": Sampling, "eval": Measuring, "reconstruct": Reconstructing, "export": Exporting,
}  # fmt: skip
"""Commands that are also Python functions, each with the settings that are its keywords."""
INTRODUCTION = """# Reference

Made by `make reference` from the declarations in `gancli/config` and `gancli/recipes`; do not edit it.

A keyword of a function in Python has the flag's name with `_` for `-`, unless the last column says otherwise. Flags of
`gancli train` whose last column says `TOML` are keys of a configuration file too: `--batch-size 64` is
`batch_size = 64` there. What a resumed run cannot change is marked `fixed`.
"""


def page() -> Iterator[str]:
    """The page, line by line."""
    yield INTRODUCTION
    for name, cls in COMMANDS.items():
        yield f"## gancli {name}\n"
        yield from _table(("flag", "meaning", "value", "default", "also"), _rows(name, cls))
    yield "## Hyperparameters\n"
    yield "Set by `--set name=value`, in Python by `hyperparameters={...}`, in TOML below `[hyperparameters]`.\n"
    for name in recipes.names():
        recipe = recipes.find(name)
        yield f"### {name}\n\n{recipe.title}; {recipe.paper}.\n"
        yield from _table(("name", "meaning", "default", "allowed"), _hyperparameters(recipe))


def _rows(command: str, cls: type) -> Iterator[tuple[str, ...]]:
    for each in declarations(cls).values():
        if each.name != "hyperparameters":
            flags = _code(metavar_of(each)) if is_argument(each) else _flags(each)
            value = "" if each.hint is bool or is_argument(each) else metavar_of(each)
            yield flags, _meaning(each), _code(value), default_in_words(each), ", ".join(_also(command, each))


def _meaning(each: Declared) -> str:
    bounds = "" if each.hint is bool or each.choices() else allowed(each)
    return f"{each.setting.meaning} {bounds[0].upper()}{bounds[1:]}." if bounds else each.setting.meaning


def _also(command: str, each: Declared) -> Iterator[str]:
    """Other places where the setting can be given, with its name there if that is not the flag's."""
    if each.setting.positional == "also":
        yield "without its flag"
    if command == "train" and each.name in declarations(TrainConfig):
        yield "TOML"
    if each.setting.fixed and command == "train":
        yield "fixed"
    keywords = declarations(FUNCTIONS[command]) if command in FUNCTIONS else {}
    if each.name in keywords and each.flag != f"--{each.name.replace('_', '-')}":
        yield f"`{each.name}` in Python"
    if keywords and each.name not in keywords:
        yield "shell only"


def _hyperparameters(recipe: type) -> Iterator[tuple[str, ...]]:
    for each in declarations(recipe).values():
        yield f"`{each.name}`", each.setting.meaning, f"`{each.default}`", allowed(each)


def _flags(each: Declared) -> str:
    return ", ".join(_code(flag) for pair in each.flags for flag in pair.split("/"))


def _code(text: str) -> str:
    """Alternatives are spans of their own: not every Markdown takes the escape of a ``|`` inside of code away."""
    *others, last = (f"`{each}`" if each else "" for each in text.split("|"))
    return f"{', '.join(others)} or {last}" if others else last


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for row in (heads, ("---",) * len(heads), *rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
    yield ""


if __name__ == "__main__":
    print("\n".join(page()))
