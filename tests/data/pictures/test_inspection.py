"""What ``gancli data check`` finds out."""

from pathlib import Path

import pytest
from sample_pictures import encoded, folder, picture

from gancli import data
from gancli.data import PictureOptions
from gancli.data.pictures.inspection import inspect
from gancli.errors import DataError

DEFAULT = PictureOptions()


def mixed(root: Path) -> Path:
    """38 sound pictures in two classes, two of them equal, and two bad ones."""
    for name in ("a", "b"):
        folder(root / name, 18, channels=3 if name == "a" else 1)
    (root / "a/copy.png").write_bytes((root / "b/004.png").read_bytes())
    (root / "a/clear.webp").write_bytes(encoded(picture(70, 50, 60, 4), "WEBP", lossless=True))
    (root / "b/empty.jpg").write_bytes(b"")
    (root / "b/text.jpg").write_bytes(b"hello")
    (root / "b/notes.txt").write_bytes(b"hello")
    return root


def test_everything_is_counted(tmp_path: Path) -> None:
    found = inspect(mixed(tmp_path / "x"), None, PictureOptions(labels="folder"))
    assert (found.pictures, found.other_files, found.transparent) == (38, 1, 1)
    assert found.formats == {"PNG": 37, "WEBP": 1}
    assert found.modes == {"RGB": 18, "L": 19, "RGBA": 1}
    assert found.sizes == {(20, 30): 37, (50, 60): 1}
    assert found.classes == {"a": 20, "b": 18}
    assert found.duplicates == [["a/copy.png", "b/004.png"]]
    assert found.bad == [("b/empty.jpg", "is empty"), ("b/text.jpg", "is not a picture")]
    assert found.sheet is not None and found.sheet.shape[1:] == (3, *found.image_size)


@pytest.mark.parametrize("bad", ["error", "skip"])
@pytest.mark.parametrize("color", ["auto", "rgb", "grey", "rgba"])
def test_it_says_what_training_then_does(tmp_path: Path, color: str, bad: str) -> None:
    root = mixed(tmp_path / "x")
    options = PictureOptions(color=color, bad_images=bad)  # type: ignore[arg-type]
    found = inspect(root, None, options)
    if bad == "error":
        with pytest.raises(DataError) as error:
            data.load(str(root), options=options)
        assert found.refusal and found.refusal in str(error.value)
        return
    loaded = data.load(str(root), options=options)
    assert found.refusal is None
    assert (found.channels, *found.image_size) == loaded.train.images.shape[1:]
    assert (found.pictures - found.heldout, found.heldout) == (len(loaded.train), len(loaded.heldout))
    assert found.memory_bytes == loaded.train.images[:].nbytes + loaded.heldout.images[:].nbytes
    assert tuple(found.bad) == loaded.skipped


def test_a_folder_of_nothing_sound_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"")
    found = inspect(tmp_path, None, PictureOptions(bad_images="skip"))
    assert found.refusal
    assert found.sheet is None
