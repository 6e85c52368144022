"""Imports go one way: the storeys of the house, and the walk that holds the code to them."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "gancli"
STOREYS = (
    {"__main__"},
    {"cli"},
    {"api"},
    {"report", "deploy"},
    {"runs"},
    {"evaluation", "training"},
    {"sampling"},
    {"artifacts"},
    {"steps", "data"},
    {"machine"},
    {"recipes", "health", "files"},
    {"config"},
    {"functional", "models", "pretrained"},
    {"errors", "randomness", "version", "whole_batch"},
)
"""From the roof down: each part imports only parts of lower storeys, and itself."""
MAX_LOOSE_FILES = 8
TO_COME = {"report"}


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def storey_of(part: str) -> int:
    return next(number for number, parts in enumerate(STOREYS) if part in parts)


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def imports_of(path: Path) -> set[str]:
    """Dotted names under gancli that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.removeprefix("gancli.") for name in found if name.startswith("gancli.")}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_stands_below_it(path: Path) -> None:
    part = part_of(path)
    for name in imports_of(path):
        other = name.split(".")[0]
        assert other == part or storey_of(other) > storey_of(part), f"{part} may not import gancli.{name}"


def test_every_part_has_a_storey_and_every_storey_its_parts() -> None:
    assert {part_of(path) for path in modules()} == set().union(*STOREYS) - TO_COME


def test_the_page_on_building_draws_every_part() -> None:
    drawn = (PACKAGE.parent / "docs" / "how-it-is-built.md").read_text().split("```")[1]
    parts = set().union(*STOREYS) - TO_COME - {"__main__"}
    assert [part for part in parts if not re.search(rf"\b{part}\b", drawn)] == []


def test_no_module_is_imported_in_a_circle() -> None:
    names = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in modules()}
    arrows = {name: {n for i in imports_of(path) for n in _module(i, set(names))} for name, path in names.items()}
    done: set[str] = set()

    def visit(name: str, on_the_way: tuple[str, ...]) -> None:
        assert name not in on_the_way, " -> ".join((*on_the_way, name))
        if name not in done:
            for other in arrows[name]:
                visit(other, (*on_the_way, name))
            done.add(name)

    for name in names:
        visit(name, ())


def _module(name: str, names: set[str]) -> set[str]:
    """The module that an imported name is, or is in; a package's name without its content is no arrow."""
    return {name} & names or {name.rpartition(".")[0]} & names


def test_few_files_lie_loose() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= MAX_LOOSE_FILES


def test_the_pure_parts_import_nothing_of_gancli_but_what_is_of_a_whole_batch() -> None:
    for part in ("functional", "models"):
        for path in (PACKAGE / part).glob("*.py"):
            assert {name.split(".")[0] for name in imports_of(path)} <= {part, "whole_batch"}, path


def test_nothing_outside_of_recipes_names_one() -> None:
    names = {path.stem for path in (PACKAGE / "recipes").iterdir()} - {"base", "__init__", "__pycache__"}
    assert {"vanilla", "latent"} <= names
    for path in modules():
        if part_of(path) not in ("recipes", "models", "functional", "health"):
            words = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
            assert not names & {word for word in words if isinstance(word, str)}, path


def test_the_command_line_starts_without_torch() -> None:
    code = "import sys, gancli.cli, gancli.config, gancli.artifacts.run_folder; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
