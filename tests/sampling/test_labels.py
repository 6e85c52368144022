"""What ``gancli sample`` draws of a conditional generator keeps its labels, and can be trained on and compared with."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from gancli import data, recipes
from gancli.artifacts import network_file
from gancli.artifacts.network_file import NetworkFile, Origin
from gancli.cli import run
from gancli.data import DataSet, PictureOptions
from gancli.errors import DataError, FileFormatError
from gancli.recipes.base import Spec
from gancli.sampling import output
from gancli.sampling.labels import Labelled

CLASSES = ("red fox", "ant, brown", "7")
IMAGES = torch.randint(0, 256, (60, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
LABELS = [number % 3 for number in range(60)]


def written(place: str) -> None:
    target = output.target(place, overwrite=False)
    output.write(target, IMAGES.split(16), range(60), labelled=Labelled(LABELS, CLASSES))


def by_picture(found: DataSet) -> dict[bytes, str]:
    """The class of each picture by its pixels, of both splits."""
    classes = {}
    for split in (found.train, found.heldout):
        assert split.labels is not None and len(split)
        for image, label in zip(split.images[:], split.labels, strict=True):
            classes[image.numpy().tobytes()] = found.classes[label]
    return classes


@pytest.mark.parametrize("place", ["folder/", "samples.npz"])
def test_labels_are_read_back(place: str, tmp_path: Path) -> None:
    written(f"{tmp_path}/{place}")
    read = data.load(f"{tmp_path}/{place}", cache=False)
    expected = {image.numpy().tobytes(): CLASSES[label] for image, label in zip(IMAGES, LABELS, strict=True)}
    assert by_picture(read) == expected
    assert data.load(f"{tmp_path}/{place}", options=PictureOptions(labels="none"), cache=False).classes == ()


def test_stylegan_finds_numbers_and_more_pictures_keep_the_labels_of_before(tmp_path: Path) -> None:
    written(f"{tmp_path}/folder/")
    more = output.target(f"{tmp_path}/folder/", overwrite=True)
    output.write(more, [IMAGES[:2]], [59, 60], labelled=Labelled([0, 1], CLASSES))
    content = json.loads((tmp_path / "folder" / "dataset.json").read_text())
    assert content["labels"][:2] == [["000000.png", 0], ["000001.png", 1]]
    assert content["labels"][-2:] == [["000059.png", 0], ["000060.png", 1]] and len(content["labels"]) == 61


def test_pictures_of_an_array_take_the_size_and_channels_that_are_asked_for(tmp_path: Path) -> None:
    written(f"{tmp_path}/x.npz")
    read = data.load(f"{tmp_path}/x.npz", size=(4, 6), options=PictureOptions(color="grey", holdout=0.5))
    assert read.train.images.shape[1:] == (1, 4, 6)
    assert 15 < len(read.heldout) < 45 and len(read.train) + len(read.heldout) == 60


def test_labels_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    pixels = IMAGES.permute(0, 2, 3, 1).numpy()
    np.savez(tmp_path / "few.npz", arr_0=pixels, labels=np.arange(5))
    np.savez(tmp_path / "beyond.npz", arr_0=pixels, labels=np.array(LABELS), classes=np.array(["a", "b"]))
    np.savez(tmp_path / "features.npz", np.zeros((60, 8)))
    for name, error, said in (
        ("few", DataError, "wanted is a number, a name or a row of numbers for each of 60"),
        ("beyond", DataError, "its classes are no name for each of its labels"),
        ("features", FileFormatError, "wanted are uint8 pictures"),
    ):
        with pytest.raises(error, match=said):
            data.load(str(tmp_path / f"{name}.npz"))


def test_sample_writes_the_classes_that_it_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = recipes.find("cgan")()
    spec = Spec(1, 8, 8, 3)
    origin = Origin("cgan", {}, spec, CLASSES, "digits", "")
    g, _ = recipe.networks(spec)
    network_file.save(tmp_path / "gen.pth", NetworkFile("generator", origin, 1, 1, g.state_dict()))
    draw = ["sample", str(tmp_path / "gen.pth"), "--n", "6", "-q", "--out"]
    assert run([*draw, str(tmp_path / "none.npz"), "--classes", "red, white"]) == 2
    assert 'choose from "ant, brown", 7, red fox' in capsys.readouterr().err
    assert run([*draw, str(tmp_path / "none.npz"), "--class", "7,red fox"]) == 2
    assert "no class '7,red fox' (repeat --class for several)" in capsys.readouterr().err
    assert run([*draw, str(tmp_path / "all.npz")]) == 0
    assert run([*draw, str(tmp_path / "some.npz"), "--class", "7", "--class", "ant, brown"]) == 0
    assert run([*draw, str(tmp_path / "walk"), "--class", "ant, brown", "--interpolate", "2"]) == 0
    every, some = (np.load(tmp_path / f"{name}.npz") for name in ("all", "some"))
    assert every["classes"].tolist() == [*CLASSES]
    assert every["labels"].tolist() == [0, 1, 2, 0, 1, 2] and some["labels"].tolist() == [2, 1] * 3
    labels = json.loads((tmp_path / "walk" / "dataset.json").read_text())["labels"]
    assert Counter(label for _, label in labels) == {1: 12}
