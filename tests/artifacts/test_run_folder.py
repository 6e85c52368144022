"""Numbers of runs: each is given once, whoever asks at the same time, and names its run."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from gancli.artifacts import run_folder
from gancli.artifacts.lookup import generator_called, run_called, start_called
from gancli.errors import UsageError
from gancli.runs.resume import folder_of


def test_runs_that_begin_at_once_get_numbers_of_their_own(tmp_path: Path) -> None:
    together = Barrier(8)

    def begin(name: int) -> list[str]:
        found = []
        for _ in range(10):
            together.wait()
            found.append(run_folder.create(tmp_path / "runs", f"n{name}").path.name)
        return found

    with ThreadPoolExecutor(8) as pool:
        names = [name for found in pool.map(begin, range(8)) for name in found]
    assert sorted(int(name[:4]) for name in names) == list(range(1, 81))
    assert sorted(names) == sorted(path.name for path in (tmp_path / "runs").iterdir())


def test_what_has_a_number_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "0003-other").mkdir()
    (tmp_path / "0004-x").write_text("a file")
    (tmp_path / ".0005").mkdir()  # of a process that died
    assert run_folder.create(tmp_path, "x").path.name == "0006-x"
    assert (tmp_path / "0004-x").read_text() == "a file"
    with pytest.raises(UsageError, match="is a file"):
        run_folder.create(tmp_path / "0004-x", "x")


def test_a_number_stands_for_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the folder of runs or without, and wherever a run or a generator is named."""
    monkeypatch.chdir(tmp_path)
    first, second = (run_folder.create(Path("runs"), name).path for name in ("digits", "faces"))
    for run in (first, second):
        (run / "config.toml").touch()
        (run / "best.pth").touch()
        (run / "gen.pth").touch()
    for name in ("runs/0001", "0001", "runs/1"):
        assert run_called(name).path == first == folder_of(name, None).path
        assert generator_called(name) == first / "gen.pth" and generator_called(f"{name}/best") == first / "best.pth"
        assert Path(start_called(name, Path("runs"))) == first
    assert generator_called("runs/0003") == Path("runs/0003")
    with pytest.raises(UsageError, match="runs/0003: there is no such run"):
        run_called("runs/0003")
    Path("0002").mkdir()
    assert run_called("0002").path == Path("0002"), "what exists has its own name"
