"""The values that a shell offers, and that shells take them."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from typer.completion import get_completion_script

from gancli import recipes, train
from gancli.api import TrainResult
from gancli.artifacts import network_file
from gancli.artifacts.network_file import NetworkFile, Origin
from gancli.cli import run
from gancli.data import SOURCES
from gancli.evaluation.extractors import named, pretrained
from gancli.recipes.base import Spec

Capture = pytest.CaptureFixture[str]
Offered = Callable[[str], list[str]]
SHELLS = {"bash": ("--norc", ".bashrc"), "zsh": ("-f", ".zshrc")}
"""How a shell starts without the user's files, and its own file of them."""
COMPLETED = {
    "train --recipe vani": ("lla", "train --recipe vanilla"),
    "train --data mn": ("ist", "train --data mnist"),
    "sample gen.pth --class it": (r"\'s", "sample gen.pth --class it's"),
    "sample gen.pth --class re": (r"\ white", "sample gen.pth --class red, white"),
}
"""By what is typed before a tab: what a shell adds, and the line as it reads it then."""
PATIENCE = 60.0
"""Seconds to wait for a shell on a busy machine."""


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> Offered:
    """A function: the values that bash gets for the last word of a line."""

    def completions(line: str) -> list[str]:
        words = f"{line}|".split()
        monkeypatch.setenv("_GANCLI_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
        with pytest.raises(SystemExit):
            run([])
        out, errors = capsys.readouterr()
        assert errors == ""
        return [value for value in out.splitlines() if value]

    return completions


def save_generator(path: Path, classes: tuple[str, ...]) -> None:
    """A file of a generator that draws these classes, without its weights."""
    origin = Origin("acgan", {}, Spec(1, 8, 8, classes=len(classes)), classes, "pets", "0")
    network_file.save(path, NetworkFile("generator", origin, 1, 16, OrderedDict(layer=torch.ones(2))))


def test_names_are_those_that_there_are(offered: Offered) -> None:
    assert offered("gancli train --recipe ") == recipes.names() == offered("gancli recipes ")
    assert offered("gancli train --recipe w") == ["wgan", "wgan-gp"]
    assert offered("gancli train --data ") == list(SOURCES) == offered("gancli eval --real ")
    assert offered("gancli train --augment a") == ["auto", "ada"]
    assert set(offered("gancli eval --extractor ")) == {"auto", *named.NAMES, *pretrained.LOADERS}
    assert offered("gancli data check --data ") == []  # it takes files alone
    assert offered("gancli --version tra") == ["train"]


@pytest.mark.parametrize("name", recipes.names())
def test_hyperparameters_are_those_of_the_recipe(name: str, offered: Offered) -> None:
    recipe = recipes.find(name)
    values = [line.split("=") for line in offered(f"gancli train --recipe {name} --set ")]
    assert {key for key, _ in values} == {each.name for each in fields(recipe)}
    for each in fields(recipe):
        defaults = [value for key, value in values if key == each.name]
        assert str(each.default) in defaults or defaults == [""], each.name  # a name in place of a number


def test_hyperparameters_of_a_configuration_and_of_no_recipe(tmp_path: Path, offered: Offered) -> None:
    (tmp_path / "a.toml").write_text('recipe = "vanilla"\n')
    line = f"gancli train --config {tmp_path}/a.toml --set obj"
    assert offered(line) == ["objective=minimax", "objective=non-saturating"]
    shared = {each.name for each in fields(recipes.Recipe)}
    assert {line.split("=")[0] for line in offered("gancli train --set ")} == shared


def test_runs_are_those_of_the_folder(
    tmp_path: Path, tiny_run: TrainResult, monkeypatch: pytest.MonkeyPatch, offered: Offered
) -> None:
    for name in "0001-a", "0002-b":
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "config.toml").touch()
    (tmp_path / "runs" / "notes").mkdir()
    monkeypatch.chdir(tmp_path)
    assert offered("gancli sample ") == ["latest", "best", "runs/0001-a", "runs/0002-b"]
    assert offered("gancli train --resume ") == ["latest", "auto", "runs/0001-a", "runs/0002-b"]
    assert offered("gancli train --resume runs/0002") == ["runs/0002-b"]
    assert offered(f"gancli doctor {tiny_run.run.parent}/") == [str(tiny_run.run)]


def test_classes_are_those_of_the_generator_before(
    tmp_path: Path, tiny_run: TrainResult, monkeypatch: pytest.MonkeyPatch, offered: Offered
) -> None:
    assert offered(f"gancli sample {tiny_run.generator} --class ") == []  # it draws no class on demand
    save_generator(tmp_path / "gen.pth", ("cat", "red, white", "it's"))
    monkeypatch.chdir(tmp_path)
    assert offered("gancli sample gen.pth --class ") == ["cat", r"red,\ white", r"it\'s"]
    assert offered("gancli sample --ckpt gen.pth --classes cat,") == ["cat,cat", r"cat,it\'s"]
    assert offered("gancli sample none.pth --class ") == []
    (tmp_path / "foreign.pth").write_bytes(b"PK\x03\x04 not a file of torch's")
    assert offered("gancli sample foreign.pth --class ") == []


def test_classes_of_a_run_that_is_not_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offered: Offered
) -> None:
    options = {"steps": 1, "batch_size": 4, "threads": 1, "hyperparameters": {"width": 2}}
    result = train(recipe="acgan", out=str(tmp_path / "runs"), progress="none", **options)
    (result.run / "gen.pth").unlink()
    monkeypatch.chdir(tmp_path)
    assert offered("gancli sample latest --class ") == [str(digit) for digit in range(10)]


def test_a_file_that_would_run_code_runs_none(tmp_path: Path, offered: Offered) -> None:
    path, touched = tmp_path / "evil.pth", tmp_path / "touched"
    code = f"cposix\nsystem\n(S'touch {touched}'\ntR."
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("evil/data.pkl", code)
    assert offered(f"gancli sample {path} --class ") == []
    assert not touched.exists()


def test_no_completion_waits_for_torch(tiny_run: TrainResult) -> None:
    code = (
        "import os, sys; from gancli import cli\n"
        "for line in sys.argv[1:]:\n"
        "    os.environ |= {'COMP_WORDS': line, 'COMP_CWORD': str(len((line + '|').split()) - 1)}\n"
        "    try: cli.run([])\n"
        "    except SystemExit: pass\n"
        "sys.exit('torch' in sys.modules)"
    )
    lines = [f"gancli {words} " for words in ("train --recipe", "train --data", "train --recipe dcgan --set", "doctor",
                                             f"sample {tiny_run.run} --class")]  # fmt: skip
    environment = os.environ | {"_GANCLI_COMPLETE": "complete_bash"}
    assert subprocess.run([sys.executable, "-c", code, *lines], env=environment, check=False).returncode == 0


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_completes_once_it_is_installed(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not here")
    option, start = SHELLS[shell]
    save_generator(tmp_path / "gen.pth", ("cat", "red, white", "it's"))
    script = tmp_path / "bin" / "gancli"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m gancli "$@"\n')
    script.chmod(0o755)
    environment = os.environ | {"HOME": str(tmp_path), "PATH": f"{script.parent}:{os.environ['PATH']}", "TERM": "xterm"}
    process, terminal = pty.fork()
    if not process:
        os.chdir(tmp_path)
        os.execvpe(shell, [shell, option, "-i"], environment)
    try:
        typed(terminal, "gancli --install-completion\n", "completion installed in")
        typed(terminal, f"source ~/{start}; PS1=now-$((1 + 1))\n", "now-2")
        for begun, (added, whole) in COMPLETED.items():
            typed(terminal, f"gancli {begun}\t", added)
            typed(terminal, "\x01echo $((40 + 2)):\n", f"42:gancli {whole}")  # at the start of the line
    finally:
        os.close(terminal)
        os.waitpid(process, 0)


def test_zsh_gets_a_script_that_evaluates_no_name() -> None:
    script = get_completion_script(prog_name="gancli", complete_var="_GANCLI_COMPLETE", shell="zsh")
    assert "_GANCLI_COMPLETE=complete_fish" in script and "${line%%$" in script
    assert "eval" not in script


def typed(terminal: int, keys: str, awaited: str) -> None:
    """Type keys and wait until the terminal has shown a text."""
    os.write(terminal, keys.encode())
    shown, end = "", time.monotonic() + PATIENCE
    while awaited not in shown:
        assert select.select([terminal], [], [], max(0, end - time.monotonic()))[0], shown
        shown += os.read(terminal, 4096).decode(errors="replace")
