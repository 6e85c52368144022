"""Where the classes of pictures come from, and labels as strangers write them."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from sample_pictures import encoded, picture, zipped

from gancli import data
from gancli.data import PictureOptions
from gancli.data.pictures import listing as listings
from gancli.data.pictures.dataset_json import json_labels
from gancli.data.pictures.labels import labels_of
from gancli.data.pictures.listing import list_pictures
from gancli.errors import DataError, UsageError

PNG = encoded(picture())
BY_FOLDER = PictureOptions(labels="folder")


def classes_in(path: Path) -> Mapping[str, str]:
    """The classes in a dataset.json, by picture."""
    given = json_labels(list_pictures(path))
    assert given is not None and not given.conditions
    return given.classes


def test_the_stylegan_tools_labels_are_understood(tmp_path: Path) -> None:
    labels = json.dumps({"labels": [["00000/a.png", 3], ["00000/b.png", 0]]}).encode()
    path = zipped(tmp_path / "x.zip", {"dataset.json": labels, "00000/a.png": PNG, "00000/b.png": PNG})
    assert classes_in(path) == {"00000/a.png": "3", "00000/b.png": "0"}


NAMES = ("00000/a.png", "00000/b.png")


def labelled(tmp_path: Path, document: object, prefix: str = "") -> Path:
    """An archive of two pictures with this dataset.json."""
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return zipped(tmp_path / "x.zip", {prefix + name: PNG for name in NAMES} | {prefix + "dataset.json": content})


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"00000/a.png": 0, "00000/b.png": 1}, "01"),
        ([["00000/a.png", 0.0], ["00000/b.png", 1.0]], "01"),
        ([["00000/a.png", [0, 1]], ["00000/b.png", [1, 0]]], "10"),
        ([["00000/a.png", ["cat"]], ["00000/b.png", "dog"]], ["cat", "dog"]),
        ([["00000\\a.png", 0], [".\\00000\\b.png", 1]], "01"),
        ([["./00000/a.png", 0], ["00000/b.png", 1]], "01"),
        ([["a.png", 0], ["b.png", 1]], "01"),
        ([["00000/a.png", 0], ["00000/b.png", 1], ["00000/a.png", 0], ["00000/gone.png", 1]], "01"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["table", "bare", "BOM", "below a folder"])
def test_labels_as_people_write_them_are_read(tmp_path: Path, labels: object, expected: str, form: str) -> None:
    document: object = labels if form == "bare" and isinstance(labels, list) else {"labels": labels}
    if form == "BOM":
        document = b"\xef\xbb\xbf" + json.dumps(document).encode()
    prefix = "my data/" if form == "below a folder" else ""
    found = classes_in(labelled(tmp_path, document, prefix))
    assert found == {prefix + name: label for name, label in zip(NAMES, expected, strict=True)}


def test_labels_are_found_whatever_the_form_of_their_letters(tmp_path: Path) -> None:
    """macOS writes file names with accents apart."""
    files = {"a\u0308.png": PNG, "dataset.json": json.dumps({"labels": [["\u00e4.png", 1]]}).encode()}
    assert classes_in(zipped(tmp_path / "x.zip", files)) == {"a\u0308.png": "1"}


def test_classes_with_numbers_keep_their_order(tmp_path: Path) -> None:
    files = {f"{number}.png": PNG for number in (2, 10, 9)}
    labels = json.dumps({"labels": [[name, int(name[:-4])] for name in files]}).encode()
    found = labels_of(list_pictures(zipped(tmp_path / "x.zip", files | {"dataset.json": labels})), PictureOptions())
    assert found.classes == ("2", "9", "10")


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (
            [["00000/a.png", 0], ["00000/a.png", 1]],
            r"1 picture is listed with more than one .*'00000/a.png' with 0 and 1",
        ),
        ([["00000/a.png", 0], ["00000/b.png", None]], r"no label for '00000/b.png'"),
        ([["00000/a.png", ["1", 1]], ["00000/b.png", [0, 1]]], r"\[\"1\", 1\], which is not one class"),
        ([["00000/a.png", True]], "has the label true"),
        ([["00000/a.png", {"class": 3}]], "has the label"),
        ([["00000/a.png", 1.5]], "has the label 1.5"),
        (["00000/a.png"], "entry 1 of its labels"),
        (b'{"labels": [["00000/a.png", 0],]}', "not valid JSON, see line 1, column"),
        (b"\xff\xfe\xff", "UTF-8"),
    ],
)
def test_labels_that_mean_nothing_are_refused_in_peoples_words(tmp_path: Path, labels: object, said: str) -> None:
    document = labels if isinstance(labels, bytes) else {"labels": labels}
    with pytest.raises(DataError, match=said) as error:
        labels_of(list_pictures(labelled(tmp_path, document)), PictureOptions())
    assert "--labels none" in str(error.value)
    assert not any(word in str(error.value) for word in ("Traceback", "NoneType", "unpack", "codec", "char "))


def test_labels_of_null_alone_are_none(tmp_path: Path) -> None:
    path = labelled(tmp_path, {"labels": [[name, None] for name in NAMES]})
    assert json_labels(list_pictures(path)) is None


@pytest.mark.parametrize("above", ["", "all/"])
def test_splits_are_no_classes(tmp_path: Path, caplog: pytest.LogCaptureFixture, above: str) -> None:
    for place in ("train/cat", "train/dog", "Test/cat", "Test/dog"):
        (tmp_path / above / place).mkdir(parents=True)
        (tmp_path / above / place / "x.png").write_bytes(PNG)
    advice = f"--data {tmp_path / above / 'train'}"
    with pytest.raises(UsageError, match=f"Test, train of .* are splits, not classes; give {advice}"):
        labels_of(list_pictures(tmp_path), BY_FOLDER)
    assert not labels_of(list_pictures(tmp_path), PictureOptions()).numbers
    assert f"read as one set; to leave test pictures out, give {advice}" in caplog.text
    assert labels_of(list_pictures(tmp_path / above / "train"), BY_FOLDER).classes == ("cat", "dog")


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"train/1.png": PNG, "bus/1.png": PNG})
    assert labels_of(list_pictures(path), BY_FOLDER).classes == ("bus", "train")


def test_unequal_classes_are_called_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def load(rare: int) -> str:
        sizes = {"bright": 60, "dark": rare}
        files = {f"{c}/{n}.png": encoded(picture(n + 100 * (c == "dark"))) for c in sizes for n in range(sizes[c])}
        caplog.clear()
        data.load(str(zipped(tmp_path / f"{rare}.zip", files)), options=PictureOptions(labels="folder"))
        return caplog.text

    assert "classes differ in size" not in load(20)
    assert "'bright' has 5" in load(4)


def test_folders_that_are_not_used_as_classes_are_mentioned(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = zipped(tmp_path / "x.zip", {"a/1.png": PNG, "b/1.png": PNG})
    with caplog.at_level("INFO"):
        labels_of(list_pictures(path), PictureOptions())
    assert "has 2 folders; --labels folder makes them classes" in caplog.text


@pytest.mark.parametrize("text", ['{"labels": null}', "{}", '{"about": "something else"}'])
def test_a_file_without_labels_gives_none(tmp_path: Path, text: str) -> None:
    path = zipped(tmp_path / "x.zip", {"dataset.json": text.encode(), "a.png": PNG})
    assert json_labels(list_pictures(path)) is None


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "[" * 100_000, '{"labels": 3}', '{"labels": [["a", -1]]}', '{"labels": [["a", [0, "x"]]]}',
        '{"labels": [["a", 1.5]]}', '{"labels": {"a.png": ""}}', '{"labels": [["a", 99999999999]]}', "\xff",
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
        monkeypatch.setattr(listings, "MAX_BYTES", 5000)
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
