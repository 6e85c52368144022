"""Conditions as people write them: labels.csv, vectors in dataset.json, rows in an .npz."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sample_pictures import encoded, picture, zipped

from gancli import cli, data
from gancli.data import PictureOptions
from gancli.data.conditions import Conditions, conditions_in, conditions_of
from gancli.data.pictures.labels import Labels, labels_of
from gancli.data.pictures.listing import list_pictures
from gancli.errors import DataError

PNG = encoded(picture())
NAMES = ("a.png", "b/c.png")


def labels_in(tmp_path: Path, **files: str | bytes) -> Labels:
    """The labels of two pictures in an archive with this dataset_json or labels_csv."""
    contents = {
        name.replace("_", "."): text.encode() if isinstance(text, str) else text for name, text in files.items()
    }
    return labels_of(list_pictures(zipped(tmp_path / "x.zip", dict.fromkeys(NAMES, PNG) | contents)), PictureOptions())


def test_a_table_gives_each_picture_its_numbers(tmp_path: Path) -> None:
    text = '\ufefffile, smile,"my age"\nb/c.png,1, 30.5\n\n./a.png,0,-2e1\n'
    labels = labels_in(tmp_path, labels_csv=text)
    assert labels.conditions == ("smile", "my age") and labels.rows == ((0.0, -20.0), (1.0, 30.5))
    assert not labels.classes


def test_a_table_of_classes_gives_classes(tmp_path: Path) -> None:
    labels = labels_in(tmp_path, labels_csv="file,class\na.png,dog\nb/c.png,cat\n")
    assert labels.classes == ("cat", "dog") and labels.numbers == (1, 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file,age\na.png,3\nb/c.png,\n", "line 3 has no value for 'age'"),
        ("file,age\na.png,3\nb/c.png\n", "line 3 has 1 cells, and the header 2"),
        ("file,age\na.png,old\n", "line 2: age is 'old', not a number; a column of classes"),
        ("file,age\na.png,nan\n", "line 2: age is 'nan', not a number"),
        ("file,age\na.png,3\na.png,4\n", "line 3 has other labels for 'a.png' than line 2"),
        ("file,age,age\na.png,3,4\n", "two conditions are called 'age'"),
        ("file,a=b\na.png,3\n", "'a=b' names no condition"),
        ("file\na.png\n", "line 1 names no column"),
        ("file;age\na.png;3,5\n", "line 1 has ';' between its cells; save it with commas"),
        ("file,Class,age\na.png,3,4\n", "line 1 has more columns than 'class'"),
        ("file,a\x1bge\na.png,3\n", r"'a\\x1bge' names no condition"),
        ("file,age\na.png,1e200\n", "line 2: age is '1e200', not a number"),
        ("file,gr\u00f6sse,gro\u0308sse\na.png,3,4\n", "two conditions are called 'gr\u00f6sse'"),
        ("file,age\na.png,3\n", "has no label for 'b/c.png'"),
        (b"file,\xff\n", "UTF-8"),
    ],
)
def test_what_is_wrong_in_a_table_is_named_with_its_line(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(DataError, match=said) as error:
        labels_in(tmp_path, labels_csv=text)
    assert "labels.csv of" in str(error.value) and "--labels none" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_table_of_another_form_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        assert labels_in(tmp_path, labels_csv="id;label\n1;x\n") == Labels()
    assert "is not read: its header does not begin with 'file'" in caplog.text


def test_vectors_of_the_stylegan_tools_are_conditions(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    vectors = [["a.png", [0.5, 1]], ["b/c.png", [-3, 0]]]
    labels = labels_in(tmp_path, dataset_json=json.dumps({"labels": vectors}))
    assert labels.conditions == ("c0", "c1") and labels.rows == ((0.5, 1.0), (-3.0, 0.0))
    named = json.dumps({"labels": vectors, "conditions": ["age", "smile"]})
    with caplog.at_level("INFO"):
        assert labels_in(tmp_path, dataset_json=named, labels_csv="file,x\n").conditions == ("age", "smile")
    assert "labels are those of dataset.json; labels.csv is not read" in caplog.text
    one_hot = [["a.png", [0, 1]], ["b/c.png", [1, 0]]]
    assert labels_in(tmp_path, dataset_json=json.dumps({"labels": one_hot})).classes == ("0", "1")


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"labels": [["a.png", [1, 2]], ["b/c.png", [1, 2, 3]]]}, "all pictures must have as many numbers"),
        ({"labels": [["a.png", [1, 2]], ["b/c.png", "cat"]]}, "not a list of finite numbers"),
        ({"labels": [["a.png", [1, 2]], ["b/c.png", None]]}, "no label for 'b/c.png'"),
        ({"labels": [["a.png", [1, 2]], ["a.png", [1, 3]]]}, "more than one label"),
        ({"labels": [["a.png", [1, 2]]], "conditions": ["x"]}, "pictures have 2 numbers; name each"),
    ],
)
def test_vectors_that_mean_nothing_are_refused(tmp_path: Path, document: object, said: str) -> None:
    with pytest.raises(DataError, match=said):
        labels_in(tmp_path, dataset_json=json.dumps(document))


def grey(level: int) -> bytes:
    return encoded(Image.new("L", (8, 8), level))


def levels(folder: Path, times: int = 1) -> Path:
    """40 grey pictures, whose brightness and parity are in a labels.csv."""
    folder.mkdir(exist_ok=True)
    for number in range(40):
        (folder / f"{number:02}.png").write_bytes(grey(6 * number))
    lines = [f"{number:02}.png,{times * 6 * number},{number % 2}" for number in reversed(range(40))]
    (folder / "labels.csv").write_text("\n".join(["file,level,odd", *lines]))
    return folder


def test_each_picture_keeps_its_numbers_in_both_splits(tmp_path: Path) -> None:
    loaded = [data.load(str(levels(tmp_path / "x")), options=PictureOptions(holdout=0.4)) for _ in range(2)]
    for dataset in loaded:  # the second time from the cache
        for split in (dataset.train, dataset.heldout):
            assert split.conditions is not None and split.labels is None and len(split) > 4
            assert torch.equal(split.conditions[:, 0], split.images[:, 0, 0, 0].double())
        assert dataset.conditions is not None and dataset.conditions.names == ("level", "odd")
    assert loaded[0].fingerprint == loaded[1].fingerprint
    other = data.load(str(levels(tmp_path / "x", times=2)), options=PictureOptions(holdout=0.4))
    assert other.fingerprint != loaded[0].fingerprint


def test_numbers_are_standardised_and_switches_are_not() -> None:
    values = torch.tensor([[20.0, 0, 5], [30, 1, 5], [70, 0, 5]], dtype=torch.float64)
    known = conditions_of(("age", "smile", "same"), values)
    assert known is not None
    ages = np.array([20.0, 30, 70])
    expected = np.stack([(ages - ages.mean()) / ages.std(), [0, 1, 0], [0, 0, 0]], 1)
    np.testing.assert_allclose(known.standardised(values).numpy(), expected, rtol=1e-6)
    assert (known.least, known.most) == ((20, 0, 5), (70, 1, 5))
    assert known.rows_of([4, 2], {"age": 33.0}) == [(33, 1, 5), (33, 0, 5)]
    assert conditions_in(json.loads(json.dumps(known.as_dict()))) == known


def test_a_condition_that_is_always_the_same_is_not_magnified(caplog: pytest.LogCaptureFixture) -> None:
    values = torch.full((7, 1), 0.1, dtype=torch.float64)
    assert values.std(0, correction=0) > 0  # by rounding
    known = conditions_of(("same",), values)
    assert known is not None and "same is the same for all training pictures" in caplog.text
    np.testing.assert_allclose(known.standardised(values + 1).numpy(), 1, rtol=1e-6)


def test_a_file_keeps_some_of_many_rows_evenly_spread() -> None:
    known = conditions_of(("n",), torch.arange(5000, dtype=torch.float64)[:, None])
    assert isinstance(known, Conditions) and len(known.rows) == 1024
    kept = torch.tensor(known.rows)[:, 0]
    assert kept[0] == 0 and set(kept.diff().tolist()) == {4.0, 5.0}


def test_the_check_lists_ranges_and_shares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["data", "check", str(levels(tmp_path / "x")), "-q"]) == 0
    assert "level 0 to 234, mean 117; odd 50 %" in capsys.readouterr().out


def test_rows_in_an_array_are_conditions(tmp_path: Path) -> None:
    pixels = np.arange(40, dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(8, 2)
    rows = np.arange(80.0).reshape(40, 2)
    np.savez(tmp_path / "x.npz", arr_0=pixels, labels=rows, conditions=np.array(["even", "odd"]))
    dataset = data.load(str(tmp_path / "x.npz"), options=PictureOptions(holdout=0.4))
    for split in (dataset.train, dataset.heldout):
        assert split.conditions is not None
        assert torch.equal(split.conditions[:, 0], 2 * split.images[:, 0, 0, 0].double())
    fingerprint = dataset.fingerprint
    np.savez(tmp_path / "x.npz", arr_0=pixels, labels=rows, conditions=np.array(["odd", "even"]))
    assert data.load(str(tmp_path / "x.npz"), options=PictureOptions(holdout=0.4)).fingerprint != fingerprint
    rows[3, 1] = np.inf
    np.savez(tmp_path / "y.npz", arr_0=pixels, labels=rows)
    with pytest.raises(DataError, match="a finite number for each"):
        data.load(str(tmp_path / "y.npz"))


@pytest.mark.parametrize(
    ("rows", "names", "classes", "conditions"),
    [
        (np.arange(40)[:, None] % 3, None, ("0", "1", "2"), ()),
        (np.eye(3)[np.arange(40) % 3], None, ("0", "1", "2"), ()),
        (np.arange(40)[:, None] % 3, ["age"], (), ("age",)),
        (np.arange(40.0), ["age"], (), ("age",)),
        (np.ones((40, 2), bool), None, (), ("c0", "c1")),
    ],
)
def test_rows_of_one_whole_number_or_one_hot_are_classes_unless_they_have_names(
    tmp_path: Path, rows: np.ndarray, names: list[str] | None, classes: tuple[str, ...], conditions: tuple[str, ...]
) -> None:
    pixels = np.arange(40, dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(8, 2)
    content: dict[str, Any] = {"arr_0": pixels, "labels": rows} | ({} if names is None else {"conditions": names})
    np.savez(tmp_path / "x.npz", **content)
    dataset = data.load(str(tmp_path / "x.npz"), options=PictureOptions(holdout=0.4))
    assert dataset.classes == classes and (dataset.conditions.names if dataset.conditions else ()) == conditions
    if dataset.train.labels is not None:
        assert torch.equal(dataset.train.labels, dataset.train.images[:, 0, 0, 0].long() % 3)
