"""What ``gancli data check`` finds out."""

from pathlib import Path

import pytest
import torch
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


def test_frames_are_counted_and_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = folder(tmp_path / "x", 10)
    for number, kind in enumerate(("TIFF", "GIF", "WEBP")):
        pages = [picture(100 * number + page) for page in range(12)]
        content = encoded(pages[0], kind, save_all=True, append_images=pages[1:])
        (root / f"pages.{kind.lower()}").write_bytes(content)
    for frames, pictures, unused in (("first", 13, 33), (4, 22, 24), ("all", 46, 0)):
        options = PictureOptions(frames=frames, holdout=0.3)  # type: ignore[arg-type]
        found = inspect(root, None, options)
        assert (found.pictures, found.frames) == (pictures, 46)
        said = f"{unused} further frames are left out; --frames all takes them"
        assert found.warnings == ([said] if unused else [])
        caplog.clear()
        cached, streamed = (data.load(str(root), options=options, cache=cache) for cache in (True, False))
        assert (said in caplog.text) == bool(unused)
        assert len(cached.train) + len(cached.heldout) == pictures
        assert cached.fingerprint == streamed.fingerprint
        assert torch.equal(cached.train.images, streamed.train.images[:])


def test_frames_that_are_alike_are_on_one_side(tmp_path: Path) -> None:
    """Whatever their files, so that no held-out frame was trained on."""
    pages = [picture(number) for number in range(30)]
    for name in ("a", "b"):
        order = pages if name == "a" else pages[::-1]
        (tmp_path / f"{name}.tif").write_bytes(encoded(order[0], "TIFF", save_all=True, append_images=order[1:]))
    found = data.load(str(tmp_path), options=PictureOptions(frames="all", holdout=0.3))
    sides = [{image.numpy().tobytes() for image in split.images} for split in (found.train, found.heldout)]
    assert not sides[0] & sides[1]
    assert len(inspect(tmp_path, None, PictureOptions(frames="all")).duplicates) == 30


@pytest.mark.parametrize("count", [2, 9, 15, 30])
@pytest.mark.parametrize("seed", [0, 1000])
def test_few_pictures_are_never_refused(tmp_path: Path, count: int, seed: int) -> None:
    root = folder(tmp_path / "x", 0)
    for number in range(count):
        (root / f"{number}.png").write_bytes(encoded(picture(seed + number)))
    found, loaded = inspect(root, None, DEFAULT), data.load(str(root))
    assert found.refusal is None
    assert (count - found.heldout, found.heldout) == (len(loaded.train), len(loaded.heldout))
    assert 1 <= len(loaded.heldout) <= max(1, count // 2)
    again = data.load(str(root), options=PictureOptions(**loaded.options))
    assert again.fingerprint == loaded.fingerprint, "what is recorded splits them alike"
