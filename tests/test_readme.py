"""Every command of the README and of docs/ runs, with fewer steps, and their Python too; links lead somewhere."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gancli import cli, evaluate, train
from gancli.api import TrainResult
from gancli.data import load

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MAX_README_LINES = 200


def commands_of(text: str) -> list[str]:
    """The commands of a page's blocks."""
    blocks = re.findall(r"```(?:console|sh)\n(.*?)```", text, re.DOTALL)
    lines = [line.partition("  #")[0].strip().removeprefix("$ ") for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("gancli ")]


COMMANDS = list(dict.fromkeys(command for page in PAGES for command in commands_of(page.read_text())))
SHORT = ["--steps", "2", "--threads", "1"]
QUICK = {"--compile on": "--compile off", "--precision bf16": "--precision fp32", "--device cuda": "--device cpu"}
"""What takes minutes on some processors or is not there, and has tests of its own."""


def shortened(command: str, run: Path) -> list[str]:
    """The command with the run's folder filled in and, for training, two steps."""
    command = command.partition(" > ")[0]
    for slow, quick in QUICK.items():
        command = command.replace(slow, quick)
    words = shlex.split(re.sub(r"runs/\d+-[\w-]+", str(run), command), comments=True)[1:]
    if words[0] == "eval" and "mnist" in words:
        words += ["--extractor", "random"]  # its classifier would take half a minute
    if words[0] == "verify-resume":
        words += ["--steps", "4", "--threads", "1"]
    if words[0] == "serve":
        words += ["--port", "0"]
    if words[0] == "train" and "--dry-run" not in words:
        words = [word for i, word in enumerate(words) if not {"--epochs", "--time"} & {word, words[i - 1]}]
        words += ["--steps", "14"] if "--resume" in words else SHORT
    return words


def write_photos(folder: Path) -> None:
    """Two classes of thirty small pictures."""
    for number in range(60):
        path = folder / ("cats", "dogs")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)


def write_conditions(folder: Path) -> None:
    """A table of two conditions for each of the photos."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    rows = [f"{name},{number % 2},{20 + number}" for number, name in enumerate(names)]
    (folder / "labels.csv").write_text("\n".join(["file,smile,age", *rows]))


def train_on_conditions() -> None:
    """A run on the photos that draws by their conditions."""
    train(data="photos", image_size="16", recipe="cgan", steps=2, batch_size=8, threads=1, progress="none")


def train_autoencoder() -> None:
    """A run of the recipe whose first stage is one, on the photos."""
    small = {"width": 16, "channels": 2, "versions": 1, "perceptual": 0.0}
    train(data="photos", image_size="64", recipe="latent", steps=2, hyperparameters=small, threads=1, progress="none")


def test_the_readme_shows_the_three_commands() -> None:
    assert {"train", "sample", "eval"} <= {command.split()[1] for command in commands_of(README)}
    assert len(README.splitlines()) <= MAX_README_LINES


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_runs(
    command: str,
    tiny_run: TrainResult,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "mnist" in command:
        request.getfixturevalue("data_root")
    run = tmp_path / "runs" / tiny_run.run.name
    shutil.copytree(tiny_run.run, run)
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    write_photos(tmp_path / "photos")
    shutil.make_archive(str(tmp_path / "photos"), "zip", tmp_path / "photos")
    shutil.copytree(tmp_path / "photos" / "cats", tmp_path / "pictures")
    if ".npz" in command:
        evaluate(tiny_run.generator, metrics="fd", sets=1, save_features=tmp_path / "features")
        for name, made in ("a", "generated-1"), ("b", "heldout"), ("c", "generated-1"):
            shutil.copy(tmp_path / "features" / f"{made}.npz", tmp_path / f"{name}.npz")
    if "compare" in command:
        assert cli.run(["eval", "--run", str(run), "--metrics", "fd", "--quiet"]) == 0
    monkeypatch.chdir(tmp_path)
    if "sample best" in command:
        shutil.copy(run / "gen.pth", run / "best.pth")
    if "projection" in command or "--condition" in command:
        write_conditions(Path("photos"))
    if "--condition" in command:
        train_on_conditions()
    if "reconstruct latest" in command or "--autoencoder latest" in command:
        train_autoencoder()
    monkeypatch.setattr("uvicorn.Server.run", lambda *_: None)  # which would serve until a signal
    code = cli.run(shortened(command, run))
    said = capsys.readouterr()
    assert code in ((0, 4) if "--fail-if" in command else (0,)), said.err
    assert said.out
    assert (code == 4) == (": --fail-if " in said.err)
    if command.startswith("gancli train") and "--json" in command:
        assert {"verdict", "generator", "steps"} <= json.loads(said.out).keys()


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    images = load("digits").train.images
    given = {"fakes": images[:200], "more_fakes": images[200:400], "real": images[400:600], "training_images": images}
    for page in (README, (ROOT / "docs" / "evaluation.md").read_text()):
        for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
            exec(re.sub(r"epochs=\d+", "steps=3, threads=1", code), given)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_of_a_page_are_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """Links lead somewhere in it, too; quiet, mkdocs would pass over its own warnings."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "index.html").is_file() and (tmp_path / "notebooks" / "first-gan.ipynb").is_file()


def test_every_page_is_in_the_navigation() -> None:
    listed = set(re.findall(r"[\w-]+\.md", (ROOT / "mkdocs.yml").read_text()))
    assert listed == {page.name for page in PAGES[1:]}
