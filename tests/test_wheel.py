"""The built wheel is complete, and works in an environment that has its dependencies and nothing else of gancli."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from gancli.version import __version__

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy, since setuptools adds what an earlier build left in the folder."""
    copy = tmp_path_factory.mktemp("source")
    shutil.copytree(ROOT / "gancli", copy / "gancli", ignore=shutil.ignore_patterns("__pycache__"))
    for name in "pyproject.toml", "README.md", "LICENSE":
        shutil.copy(ROOT / name, copy)
    build = "from setuptools import build_meta; build_meta.build_wheel('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=copy, check=True, capture_output=True)
    return next((copy / "dist").glob("*.whl"))


def test_the_wheel_has_every_file_of_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        info = f"gancli-{__version__}.dist-info"
        scripts = archive.read(f"{info}/entry_points.txt").decode()
    here = {str(path.relative_to(ROOT)) for path in (ROOT / "gancli").rglob("*") if path.is_file()}
    assert {name for name in names if name.startswith("gancli/")} == {n for n in here if "__pycache__" not in n}
    assert "gancli/py.typed" in names and f"{info}/licenses/LICENSE" in names
    assert "gancli = gancli.__main__:main" in scripts


@pytest.mark.slow
def test_the_installed_wheel_works_from_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    environment, empty = tmp_path / "environment", tmp_path / "empty"
    empty.mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    packages = sysconfig.get_path("purelib", vars={"base": str(environment), "platbase": str(environment)})
    (Path(packages) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = ["pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet", wheel]
    subprocess.run([sys.executable, "-m", *install], check=True)
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def said_by(*command: str | Path) -> str:
        return subprocess.run(command, cwd=empty, env=variables, check=True, capture_output=True, text=True).stdout

    assert said_by(python, "-c", "import gancli; print(gancli.__file__)").startswith(packages)
    gancli = environment / "bin" / "gancli"
    assert said_by(gancli, "--version") == f"gancli {__version__}\n"
    assert "r3gan" in said_by(gancli, "recipes")
    said_by(gancli, "train", "--steps", "2", "--batch-size", "8", "--recipe", "vanilla", "--threads", "1")
    assert "samples" in said_by(gancli, "sample", "latest", "--n", "4")
