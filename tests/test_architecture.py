"""Imports go one way: a table of which part may know which, and the walk that holds the code to it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "gancli"
LEAVES = {"cores", "errors", "files", "randomness"}
ALLOWED: dict[str, set[str]] = {
    "cores": set(),
    "errors": set(),
    "files": set(),
    "randomness": set(),
    "config": {"errors"},
    "losses": set(),
    "linear_maps": set(),
    "layerwise": {"linear_maps"},
    "penalties": {"layerwise", "losses"},
    "augment": set(),
    "models": set(),
    "data": LEAVES,
    "devices": LEAVES,
    "products": LEAVES,
    "recipes": {"losses", "penalties", "augment", "models", "errors"},
    "pictures": LEAVES,
    "latent_walk": LEAVES,
    "drawing": LEAVES | {"pictures"},
    "torch_file": LEAVES,
    "network_file": LEAVES | {"config", "torch_file", "recipes.base", "__version__"},
    "run_folder": LEAVES | {"__version__"},
    "training": LEAVES
    | {"augment", "layerwise", "losses", "recipes.base", "drawing", "pictures"}
    | {"devices", "torch_file", "network_file", "run_folder"},
    "evaluation": LEAVES | {"torch_file"},
}
"""Parts that are not listed put the others together, and may know all of them but ``cli``."""


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


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
def test_a_module_imports_only_what_its_part_may_know(path: Path) -> None:
    part = part_of(path)
    for name in imports_of(path):
        inside = name.split(".")[0] == part
        allowed = ALLOWED.get(part)
        known = allowed is None or any(name == a or name.startswith(f"{a}.") for a in allowed)
        assert inside or known, f"{part} may not import gancli.{name}"
        assert part in ("cli", "__main__") or not name.startswith("cli"), f"{part} imports the command line"


def test_the_table_names_no_part_that_is_gone() -> None:
    assert set(ALLOWED) <= {part_of(path) for path in modules()}


def test_nothing_outside_of_recipes_names_one() -> None:
    names = {path.stem for path in (PACKAGE / "recipes").glob("*.py")} - {"base", "__init__"}
    assert {"vanilla", "dcgan"} <= names
    for path in modules():
        if part_of(path) in ("training", "sampling", "evaluation", "preparation", "running", "api", "cli"):
            words = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
            assert not names & {word for word in words if isinstance(word, str)}, path


def test_the_command_line_starts_without_torch() -> None:
    code = "import sys, gancli.cli, gancli.config, gancli.run_folder; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
