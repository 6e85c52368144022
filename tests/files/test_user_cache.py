"""Where gancli keeps what it can make again, for users with and without a home folder."""

import os
import platform
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import platformdirs
import pytest

from gancli.files import user_cache as module
from gancli.files.user_cache import user_cache


@pytest.fixture
def homeless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No HOME and no entry in passwd, as platformdirs tells it; returns the folder of temporary files."""

    def no_home(name: str) -> Path:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(platformdirs, "user_cache_path", no_home)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    module._temporary.cache_clear()
    return tmp_path


def test_the_users_folder_is_used_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache("a", "b") == tmp_path / "gancli" / "a" / "b"


def test_without_a_home_it_is_private_and_the_same_in_each_process(homeless: Path) -> None:
    folder = user_cache("pictures")
    assert folder.parent.parent == homeless
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    module._temporary.cache_clear()
    assert user_cache("pictures") == folder


def test_a_home_that_is_taken_literally_is_none(homeless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: Path("~/.cache/gancli"))
    assert homeless in user_cache().parents


def test_a_home_that_cannot_be_written_to_is_none_unless_it_has_a_cache(
    homeless: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``docker run --user 12345`` gives HOME=/, which belongs to root."""
    home = homeless / "home"
    home.mkdir()
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: home / ".cache" / name)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != home)
    assert user_cache() == home / ".cache" / "gancli", "XDG_CACHE_HOME is set"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert home not in user_cache().parents
    (home / ".cache" / "gancli").mkdir(parents=True)
    assert user_cache() == home / ".cache" / "gancli"


def test_a_folder_that_another_user_may_have_put_there_is_not_used(homeless: Path) -> None:
    elsewhere = homeless / "elsewhere"
    elsewhere.mkdir()
    (homeless / f"gancli-{os.getuid()}").symlink_to(elsewhere)
    assert elsewhere not in user_cache("pictures").resolve().parents


@pytest.mark.skipif(platform.system() != "Linux", reason="other systems have UTF-8 names whatever the locale")
def test_names_are_found_under_a_locale_that_knows_ascii_alone(tmp_path: Path) -> None:
    (tmp_path / "dätä").mkdir()
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    environment = {name: value for name, value in os.environ.items() if name != "LANG"} | plain
    command = [sys.executable, "-m", "gancli", "data", "check", str(tmp_path / "dätä")]
    done = subprocess.run(command, capture_output=True, check=False, timeout=240, env=environment)
    assert "dätä has no pictures" in done.stderr.decode()
