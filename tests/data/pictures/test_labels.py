"""Where the classes of pictures come from, and labels as strangers write them."""

import json
import os
from pathlib import Path

import pytest
from sample_pictures import encoded, picture, zipped

from gancli import data
from gancli.data import PictureOptions
from gancli.data.pictures import listing as listings
from gancli.data.pictures.labels import json_labels, labels_of
from gancli.data.pictures.listing import list_pictures
from gancli.errors import DataError, UsageError

PNG = encoded(picture())
BY_FOLDER = PictureOptions(labels="folder")


def test_the_stylegan_tools_labels_are_understood(tmp_path: Path) -> None:
    labels = json.dumps({"labels": [["00000/a.png", 3], ["00000/b.png", 0]]}).encode()
    path = zipped(tmp_path / "x.zip", {"dataset.json": labels, "00000/a.png": PNG, "00000/b.png": PNG})
    assert json_labels(list_pictures(path)) == {"00000/a.png": 3, "00000/b.png": 0}


@pytest.mark.parametrize("text", ['{"labels": null}', "{}", '{"about": "something else"}'])
def test_a_file_without_labels_gives_none(tmp_path: Path, text: str) -> None:
    path = zipped(tmp_path / "x.zip", {"dataset.json": text.encode(), "a.png": PNG})
    assert json_labels(list_pictures(path)) is None


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "[" * 100_000, '{"labels": 3}', '{"labels": [["a", -1]]}', '{"labels": [["a", [0, 1]]]}',
        '{"labels": [["a", 1.5]]}', '{"labels": {"a.png": 1}}', '{"labels": [["a", 99999999999]]}', "\xff",
    ],
)  # fmt: skip
def test_labels_of_another_form_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "dataset.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match="--labels none") as error:
        json_labels(list_pictures(tmp_path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("damage", ["bytes", "size"])
def test_labels_that_cannot_be_unpacked_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    path = zipped(tmp_path / "x.zip", {"a.png": PNG, "dataset.json": b'{"labels": []}' + bytes(5000)})
    if damage == "bytes":
        raw = bytearray(path.read_bytes())
        start = raw.rindex(b"PK\x03\x04") + 42
        raw[start : start + 8] = b"\xff" * 8
        path.write_bytes(raw)
    else:
        monkeypatch.setattr(listings, "MOST_BYTES", 5000)
    with pytest.raises(DataError, match=r"damaged in the archive|bytes are more"):
        json_labels(list_pictures(path))


def test_a_picture_outside_of_the_classes_is_named(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"a/1.png": PNG, "b/1.png": PNG, "stray.png": PNG})
    with pytest.raises(UsageError, match=r"'stray\.png' of .* is in no class's folder"):
        labels_of(list_pictures(path), BY_FOLDER)


def test_names_of_classes_can_be_shown(tmp_path: Path) -> None:
    for name in (b"cat\xff", b"two\nlines", "猫".encode()):
        folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
        folder.mkdir()
        (folder / "x.png").write_bytes(PNG)
    found = labels_of(list_pictures(tmp_path), BY_FOLDER)
    assert found.classes == ("cat\\udcff", "two\\nlines", "猫")
    assert found.numbers == (0, 1, 2)


def test_classes_without_a_sound_picture_are_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A generator would be asked to draw what it has never seen."""
    files = {f"{name}/{number}.png": encoded(picture(number)) for name in "ac" for number in range(20)}
    path = zipped(tmp_path / "x.zip", files | {"b/0.png": b"", "d/0.png": b""})
    found = data.load(str(path), options=PictureOptions(labels="folder", bad_images="skip", holdout=0.3))
    assert found.classes == ("a", "c")
    for split in (found.train, found.heldout):
        assert split.labels is not None and set(split.labels.tolist()) == {0, 1}
    assert "2 of 4 classes have no picture to train on: 'b', 'd'" in caplog.text
