"""The values that a shell offers for a flag.

A shell waits for them, so nothing here imports torch: what recipes and data sets declare is read from their source.
"""

import ast
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from gancli.config.settings import Declared

PACKAGE = Path(__file__).parents[1]
Offered = str | tuple[str, str]
"""A value, or a value and its meaning."""


def completer(declared: "Declared") -> Callable[[typer.Context, str], list[Offered]] | None:
    """A function that offers values for a setting; None if there are none, so that the shell offers files."""
    completes = declared.setting.completes or declared.choices()
    if not completes:
        return None

    def offer(ctx: typer.Context, incomplete: str) -> list[Offered]:
        if isinstance(completes, tuple):
            return [str(word) for word in completes]
        logging.disable()  # a warning would appear within the line that is being written
        try:
            return [_escaped(each) for each in KINDS[completes](declared, ctx, incomplete)]
        except Exception:  # a shell has no place for an error, and offers files instead
            return []
        finally:
            logging.disable(logging.NOTSET)

    return offer


def _escaped(offered: Offered) -> Offered:
    """Escape spaces and quotes for bash, which takes values as they are; other shells escape them themselves."""
    if os.environ.get("_GANCLI_COMPLETE") != "complete_bash":
        return offered
    if isinstance(offered, tuple):
        return _for_bash(offered[0]), offered[1]
    return _for_bash(offered)


def _for_bash(value: str) -> str:
    return re.sub(r"([^\w@%+=:,./-])", r"\\\1", value)


def recipes(declared: "Declared", line: typer.Context, incomplete: str) -> list[Offered]:
    """Names of recipes, and when to use each."""
    folder = PACKAGE / "recipes"
    files = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    names = sorted(files - {"__init__", "base"})
    return [(name.replace("_", "-"), str(_literal(_declared(name)["when"].value))) for name in names]


def data_sets(declared: "Declared", line: typer.Context, incomplete: str) -> list[Offered]:
    """Names of data sets."""
    tables = [node.value for node in _parsed("data/sources.py").body if isinstance(node, ast.AnnAssign)]
    return [str(_literal(key)) for table in tables if isinstance(table, ast.Dict) for key in table.keys]


def runs(declared: "Declared", line: typer.Context, incomplete: str) -> list[Offered]:
    """The words that stand for a run where they are allowed, and the runs in the written folder, or in ``runs``."""
    allowed = (declared.setting.metavar or "").split("|")
    words: list[Offered] = [word for word in ("latest", "best", "auto") if word in allowed]
    folder = Path(incomplete.rpartition("/")[0] or "runs")
    found = folder.iterdir() if folder.is_dir() else ()
    return [*words, *sorted(str(path) for path in found if (path / "config.toml").is_file())]


def classes(declared: "Declared", line: typer.Context, incomplete: str) -> list[Offered]:
    """Names of the classes that the generator before on the line can draw."""
    from gancli.artifacts.lookup import generator_called
    from gancli.files.plain_part import plain_part

    before = line.params["ckpt"] or line.args[0]  # arguments stay there while a flag lacks its value
    content = plain_part(generator_called(before))
    origin = content.get("origin", content)  # of a checkpoint, or of a network file
    return list(origin["classes"]) if _draws_classes(origin) else []


def _draws_classes(origin: dict[str, Any]) -> bool:
    """True if the generator is conditional, by its recipe or by a hyperparameter."""
    declared = _declared(origin["recipe"]).get("conditional")
    by_recipe = declared is not None and bool(_literal(declared.value))
    return bool(origin["hyperparameters"].get("conditional", by_recipe))


def lists_of_classes(declared: "Declared", line: typer.Context, incomplete: str) -> list[Offered]:
    """The list as it is written, with each class as its last entry; no names that would have to be quoted."""
    before = "".join(incomplete.rpartition(",")[:2])
    return [before + name for name in map(str, classes(declared, line, incomplete)) if "," not in name]


def hyperparameters(declared: "Declared", line: typer.Context, incomplete: str) -> list[Offered]:
    """``name=value`` for each hyperparameter of ``--recipe``, with its default or each of its choices.

    Without a recipe, those that all recipes have.
    """
    name = line.params["recipe"] or _recipe_in(line.params["config"])
    fields: dict[str, ast.AnnAssign] = {}
    meanings: dict[str, str] = {}
    for cls in _lineage(*(_recipe(name) if name else (_parsed("recipes/base.py"), "Recipe"))):
        for key, field in _fields(cls).items():
            if not ast.unparse(field.annotation).startswith("ClassVar"):
                fields[key] = field
                meanings[key] = _meaning(field) or meanings.get(key, "")
    return [(f"{key}={value}", meanings[key]) for key, field in fields.items() for value in _values(field)]


def _recipe_in(config: str | None) -> str | None:
    """The recipe that a configuration file names."""
    from gancli.config.toml import load_toml

    return load_toml(Path(config)).get("recipe") if config else None


def _values(field: ast.AnnAssign) -> list[Any]:
    """The choices of a hyperparameter, or its default."""
    if isinstance(field.annotation, ast.Subscript):  # Literal["minimax", ...]
        return list(_literal(field.annotation.slice))
    default = _literal(field.value.args[0] if isinstance(field.value, ast.Call) else field.value)
    return [True, False] if isinstance(default, bool) else [default]


def _meaning(field: ast.AnnAssign) -> str:
    return str(_literal(field.value.args[1])) if isinstance(field.value, ast.Call) else ""


def _literal(node: ast.expr | None) -> Any:
    """The value of a literal; empty for a name or a formula."""
    try:
        return "" if node is None else ast.literal_eval(node)
    except ValueError:
        return ""


def _recipe(name: str) -> tuple[ast.Module, str]:
    """A recipe's file, or that of its folder, and the class that it names in ``RECIPE``."""
    path = f"recipes/{name.replace('-', '_')}"
    module = _parsed(f"{path}/__init__.py" if (PACKAGE / path).is_dir() else f"{path}.py")
    assigned = (node.value for node in module.body if isinstance(node, ast.Assign))
    return module, next(value.id for value in assigned if isinstance(value, ast.Name))


def _declared(name: str) -> dict[str, ast.AnnAssign]:
    """The annotated names of a recipe's class and of its parents; its own come before theirs."""
    return {key: field for cls in _lineage(*_recipe(name)) for key, field in _fields(cls).items()}


def _lineage(module: ast.Module, name: str) -> list[ast.ClassDef]:
    """The class of this name, after those of gancli that it inherits from, in the module or imported by it."""
    classes = {node.name: node for node in module.body if isinstance(node, ast.ClassDef)}
    if name in classes:
        parents = (base.id for base in classes[name].bases if isinstance(base, ast.Name))
        return [*(each for parent in parents for each in _lineage(module, parent)), classes[name]]
    for node in module.body:
        if isinstance(node, ast.ImportFrom) and name in (alias.name for alias in node.names):
            package, _, path = (node.module or "").partition(".")
            return _lineage(_parsed(path.replace(".", "/") + ".py"), name) if package == "gancli" else []
    return []


def _fields(cls: ast.ClassDef) -> dict[str, ast.AnnAssign]:
    fields = (node for node in cls.body if isinstance(node, ast.AnnAssign))
    return {field.target.id: field for field in fields if isinstance(field.target, ast.Name)}


def _parsed(path: str) -> ast.Module:
    return ast.parse((PACKAGE / path).read_text())


KINDS: dict[str, Callable[["Declared", typer.Context, str], list[Offered]]] = {
    "recipe": recipes,
    "data": data_sets,
    "run": runs,
    "class": classes,
    "classes": lists_of_classes,
    "hyperparameter": hyperparameters,
}
"""How each kind of `Setting.completes` is completed."""
