"""The bench of colour pictures: its few faces, its table, and that what is known is not done again."""

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import colour


def row(name: str, **other: Any) -> dict[str, Any]:
    figures = {"fd": [6.0, 2.0], "coverage": [0.3, 0.6]}
    settings = {"device": "cpu", "minutes": 20.0, "seed": 0, "batch_size": None, "machine": "two cores"}
    return {"row": name, **settings, "images_seen": 12345, "figures": {"lite0": figures, "random": figures}} | other


def test_faces_are_told_by_the_number_of_their_sign(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as file:
        for sign in ("1f600", "1f645", "1f469-1f3fb", "1f469-200d-1f680", "0023-fe0f-20e3", "1f42e"):
            file.writestr(f"pictures/{sign}.webp", sign)
    colour.faces_of(tmp_path / "all.zip", tmp_path / "few" / "faces.zip")
    with zipfile.ZipFile(tmp_path / "few" / "faces.zip") as few:
        assert few.namelist() == [f"pictures/{sign}.webp" for sign in ("1f42e", "1f469-1f3fb", "1f600")]
        assert few.read("pictures/1f600.webp") == b"1f600"


def test_the_table_tells_how_far_the_figures_are_from_those_of_real_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(colour, "RESULTS", tmp_path / "colour.json")
    colour.RESULTS.write_text(json.dumps([row("cipher/b"), row("cipher/a")]))
    colour.print_table()
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "| cipher/a | two cores | 20 | 0 | 12,345 | 3.0 x, 50% | 3.0 x, 50% |"
    assert len(lines) == 4


def test_a_row_that_is_there_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(colour, "RESULTS", tmp_path / "colour.json")
    colour.RESULTS.write_text(json.dumps([row("emoji-64/dcgan")]))
    done: list[str] = []
    monkeypatch.setattr(colour, "run_row", lambda bench, name: done.append(name) or row(name))
    monkeypatch.setattr(sys, "argv", ["colour.py", "emoji-64/dcgan", "emoji-64/latent"])
    colour.main()
    assert done == ["emoji-64/latent"]
    assert [each["row"] for each in colour.known()] == ["emoji-64/dcgan", "emoji-64/latent"]
