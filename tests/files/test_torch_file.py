"""Files from strangers are data: damaged, foreign and hostile ones are refused with one line."""

import io
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from gancli.errors import FileFormatError
from gancli.files import torch_file


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


def repacked(path: Path, parts: int, compression: int = zipfile.ZIP_STORED) -> None:
    """The file again, with so many parts of zeros instead of the first tensor's."""
    old = zipfile.ZipFile(io.BytesIO(path.read_bytes()))
    with zipfile.ZipFile(path, "w", compression) as new:
        for name in old.namelist():
            with new.open(name, "w", force_zip64=True) as file:
                for _ in range(parts if name.endswith("/data/0") else 1):
                    file.write(bytes(2**20) if name.endswith("/data/0") else old.read(name))


def test_a_part_that_would_unpack_to_more_than_the_file_is_refused_unread(path: Path) -> None:
    repacked(path, 64, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**20
    with pytest.raises(FileFormatError, match="compressed or overlapping"):
        torch_file.load(path, "kind", 1)


def endless(depth: int) -> list[object]:
    """Ten references to ten references and so on."""
    value: list[object] = ["ha"]
    for _ in range(depth):
        value = [value] * 10
    return value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"note": endless(12)}, "more values"),
        ({"format": endless(12)}, "more values"),
        ({"version": endless(12)}, "more values"),
        ({"note": "x" * 10**6}, "text of strange length"),
        ({"note": 10**40}, "number of strange size"),
        ({"note": {1, 2}}, "it holds a set"),
        ({"weights": {"w": torch.zeros(3, device="meta")}}, "strange kind"),
        ({"weights": {"w": torch.zeros(3, 3).to_sparse()}}, "strange kind"),
    ],
)
def test_values_that_no_file_of_gancli_holds_are_refused(
    path: Path, change: dict[str, object], message: str, recwarn: pytest.WarningsRecorder
) -> None:
    torch.save(torch.load(path, weights_only=True) | change, path)
    recwarn.clear()
    with pytest.raises(FileFormatError, match=message) as caught:
        torch_file.load(path, "kind", 1)
    assert len(str(caught.value)) < 300 and not recwarn.list


def test_a_name_that_takes_for_ever_to_complain_of_is_refused_at_once(path: Path) -> None:
    old = zipfile.ZipFile(io.BytesIO(path.read_bytes()))
    with zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, b"\x80\x02c" + b"a" * 10**6 + b"\nb\n." if name.endswith(".pkl") else old.read(name))
    with pytest.raises(FileFormatError, match="text of strange length"):
        torch_file.load(path, "kind", 1)


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
