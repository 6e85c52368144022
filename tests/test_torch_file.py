"""Files from strangers are data: damaged, foreign and hostile ones are refused with one line."""

import pickle
from pathlib import Path

import pytest
import torch

from gancli import torch_file
from gancli.errors import FileFormatError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    torch_file.save(tmp_path / "a.pth", "kind", 1, {"weights": {"w": torch.arange(1000.0)}, "note": "x"})
    return tmp_path / "a.pth"


def test_what_is_saved_is_loaded(path: Path) -> None:
    content = torch_file.load(path, "kind", 1)
    assert torch.equal(content["weights"]["w"], torch.arange(1000.0))
    assert content["note"] == "x"


def test_equal_content_gives_equal_bytes(path: Path) -> None:
    other = path.with_name("b.pth")
    torch_file.save(other, "kind", 1, {"weights": {"w": torch.arange(1000.0)}, "note": "x"})
    assert other.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("size", [0, 1, 100, 2000, -1])
def test_a_truncated_file_is_refused(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(FileFormatError):
        torch_file.load(path, "kind", 1)


def test_a_flipped_bit_in_the_weights_is_noticed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(torch.arange(1000.0).numpy().tobytes()) + 99] ^= 4
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="damaged"):
        torch_file.load(path, "kind", 1)


class Hostile:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_code_in_a_file_is_never_run(tmp_path: Path, writer: str) -> None:
    target, path = tmp_path / "executed", tmp_path / "bad.pth"
    content = {"format": "kind", "version": 1, "weights": Hostile(target)}
    if writer == "torch":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    with pytest.raises(FileFormatError):
        torch_file.load(path, "kind", 1)
    assert not target.exists()


def test_missing_foreign_and_newer_files_say_what_they_are(path: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.pth"
    torch.save({"some": "weights"}, foreign)
    text = tmp_path / "text.pth"
    text.write_text("hello")
    for bad, message in [
        (tmp_path / "none.pth", "No such file"),
        (tmp_path, "directory"),
        (foreign, "not a kind file"),
        (text, "not a file of gancli's"),
    ]:
        with pytest.raises(FileFormatError, match=message):
            torch_file.load(bad, "kind", 1)
    with pytest.raises(FileFormatError, match="not a other file"):
        torch_file.load(path, "other", 1)
    with pytest.raises(FileFormatError, match="this gancli reads 2"):
        torch_file.load(path, "kind", 2)
