"""Files appear whole or not at all."""

import errno
import os
import stat
from pathlib import Path

import pytest

from gancli.files import atomic
from gancli.files.atomic import remove_leftovers, write_atomically, write_text_atomically


def test_a_failing_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text_atomically(path, "old")

    def fail(file: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_the_file_gets_the_permissions_that_a_new_file_gets(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_text_atomically(tmp_path / "sub" / "a", "x")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "sub/a")]
    assert modes[0] == modes[1]


def test_a_file_system_that_cannot_be_waited_for_is_written_to_nevertheless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(number: int) -> None:
        def fsync(descriptor: int) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(atomic.os, "fsync", fsync)

    refuse(errno.EINVAL)
    write_text_atomically(tmp_path / "a", "x")
    atomic.sync_file(tmp_path / "a")
    assert (tmp_path / "a").read_text() == "x"
    refuse(errno.EIO)
    with pytest.raises(OSError, match="error"):
        write_text_atomically(tmp_path / "a", "y")
    assert (tmp_path / "a").read_text() == "x"


def test_what_killed_processes_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    kept = ["a.part", ".hidden", "b/c.txt"]
    for name in [*kept, ".a.txt.k3x.part", "b/.c.txt.77.part"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)
