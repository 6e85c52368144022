"""A folder or an archive as a data set: size, colour, classes, split, what is refused; decoded once or streamed."""

import json
import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from sample_pictures import encoded, folder, picture, zipped

from gancli import data
from gancli.data import DataSet, PictureOptions, Split
from gancli.errors import DataError, UsageError


def load(path: Path, size: tuple[int, int] | None = None, cache: bool = True, **options: object) -> DataSet:
    return data.load(str(path), None, size, PictureOptions(**options), cache=cache)  # type: ignore[arg-type]


def contents(split: Split) -> set[bytes]:
    return {image.numpy().tobytes() for image in split.images[:]}


def test_a_folder_and_a_zip_of_it_are_the_same_data(tmp_path: Path) -> None:
    root = folder(tmp_path / "pictures")
    archive = zipped(tmp_path / "x.zip", {path.name: path.read_bytes() for path in root.iterdir()})
    one, other = load(root), load(archive)
    assert one.train.images.shape[1:] == (3, 20, 30)
    assert len(one.train) + len(one.heldout) == 40
    assert torch.equal(one.train.images, other.train.images)
    assert one.fingerprint == other.fingerprint
    assert one.name == str(root)


def test_the_pictures_are_those_of_the_files(tmp_path: Path) -> None:
    found = load(folder(tmp_path / "x", 30))
    expected = {np.asarray(picture(number)).transpose(2, 0, 1).tobytes() for number in range(30)}
    assert contents(found.train) | contents(found.heldout) == expected


def test_neither_names_nor_other_files_move_a_picture_to_the_other_split(tmp_path: Path) -> None:
    root = folder(tmp_path / "x", 60)
    before = load(root, holdout=0.3)
    for number, path in enumerate(sorted(root.iterdir())):
        path.rename(root / f"{(number * 37) % 60:02}-{number}.png")
    for number in range(100, 140):
        (root / f"{number}.png").write_bytes(encoded(picture(number)))
    shutil.copy(sorted(root.iterdir())[5], root / "copy.png")
    after = load(root, holdout=0.3)
    assert contents(before.train) < contents(after.train)
    assert contents(before.heldout) < contents(after.heldout)
    assert not contents(after.train) & contents(after.heldout), "a copy is on the side of its original"
    assert 5 < len(before.heldout) < 31


@pytest.mark.parametrize("change", ["picture", "label", "holdout", "size", "added", "fit", "alpha"])
def test_the_fingerprint_notices(tmp_path: Path, change: str) -> None:
    for name in ("a", "b"):
        folder(tmp_path / "x" / name, 20)
    before = load(tmp_path / "x", labels="folder").fingerprint
    assert load(tmp_path / "x", labels="folder", cache=False).fingerprint == before
    size, options = None, {}
    if change in ("fit", "alpha"):  # real statistics are kept by the fingerprint, and these change them
        options = {change: {"fit": "pad", "alpha": "black"}[change]}
    elif change == "picture":
        (tmp_path / "x/a/003.png").write_bytes(encoded(picture(99)))
    elif change == "label":
        (tmp_path / "x/a/003.png").rename(tmp_path / "x/a/003x.png")
        (tmp_path / "x/b/003.png").rename(tmp_path / "x/a/003.png")
        (tmp_path / "x/a/003x.png").rename(tmp_path / "x/b/003.png")
        shutil.move(tmp_path / "x/a/004.png", tmp_path / "x/b/004x.png")
    elif change == "holdout":
        options = {"holdout": 0.5}
    elif change == "size":
        size = (16, 16)
    else:
        (tmp_path / "x/a/new.png").write_bytes(encoded(picture(99)))
    assert load(tmp_path / "x", size, labels="folder", **options).fingerprint != before


def test_classes_are_folders_or_what_the_stylegan_tools_wrote(tmp_path: Path) -> None:
    for name in ("dogs", "cats"):
        folder(tmp_path / "all/photos" / name, 20)
    found = load(tmp_path / "all", labels="folder")
    assert found.classes == ("cats", "dogs")
    assert found.train.labels is not None and found.heldout.labels is not None
    labels = torch.cat([found.train.labels, found.heldout.labels])
    assert torch.bincount(labels).tolist() == [20, 20]
    assert load(tmp_path / "all").train.labels is None
    root = folder(tmp_path / "json", 20)
    pairs = [[f"{number:03}.png", 7 if number < 5 else 2] for number in range(20)]
    (root / "dataset.json").write_text(json.dumps({"labels": pairs}))
    found = load(root)
    assert found.classes == ("2", "7")
    assert found.train.labels is not None
    first = np.asarray(picture(0)).transpose(2, 0, 1)
    (row,) = [i for i, image in enumerate(found.train.images) if np.array_equal(image, first)]
    assert found.train.labels[row] == 1, "the class called 7"
    (root / "more.png").write_bytes(encoded(picture(50)))
    with pytest.raises(DataError, match=r"no label for 'more\.png'"):
        load(root)


def test_folders_are_asked_for_where_there_are_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least two classes"):
        load(folder(tmp_path / "x"), labels="folder")


@pytest.mark.parametrize(
    ("sizes", "chosen"),
    [([(20, 30)], (20, 30)), ([(8, 8)], (8, 8)), ([(300, 500)], (64, 64)), ([(40, 90), (50, 30)], (32, 32)),
     ([(3, 3), (2, 5)], (8, 8)), ([(256, 256)], (256, 256))],
)  # fmt: skip
def test_a_size_that_suits_the_pictures_is_chosen(
    tmp_path: Path, sizes: list[tuple[int, int]], chosen: tuple[int, int]
) -> None:
    root = folder(tmp_path / "x", 0)
    for number in range(30):
        height, width = sizes[number % len(sizes)]
        (root / f"{number}.png").write_bytes(encoded(picture(number, height, width)))
    assert load(root).train.images.shape[2:] == chosen
    assert load(root, (12, 40)).train.images.shape[2:] == (12, 40)


def test_colour_is_grey_only_if_all_are(tmp_path: Path) -> None:
    root = folder(tmp_path / "x", 30, channels=1)
    (root / "rgb-but-grey.png").write_bytes(encoded(picture(40).convert("L").convert("RGB")))
    for cache in (True, False):
        assert load(root, cache=cache).train.images.shape[1] == 1
    assert load(root, color="rgba").train.images.shape[1] == 4
    (root / "red.png").write_bytes(encoded(picture(41)))
    assert load(root).train.images.shape[1] == 3
    assert load(root, color="grey").train.images.shape[1] == 1


def test_bad_files_stop_unless_they_are_few_and_to_be_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = folder(tmp_path / "x", 45)
    for number in range(5):
        (root / f"bad\n{number}.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"5 of 50 pictures cannot be used: 'bad\\n0.png' is empty.*--bad-images skip"):
        load(root)
    found = load(root, bad_images="skip")
    assert found.skipped == tuple((f"bad\n{number}.png", "is empty") for number in range(5))
    assert "5 bad files; gancli data check" in caplog.text
    (root / "one-more.png").write_bytes(b"x")
    with pytest.raises(DataError, match="6 of 51 pictures cannot be used, more than 10%"):
        load(root, bad_images="skip")


def test_small_pictures_are_no_bad_ones(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = folder(tmp_path / "x", 20)
    for number in range(20, 50):
        (root / f"{number}.png").write_bytes(encoded(picture(number, 64, 64)))
    assert len(load(root, (32, 32), small_images="skip").skipped) == 20
    caplog.clear()
    found = load(root, (32, 32))
    assert len(found.train) + len(found.heldout) == 50
    assert "20 pictures are smaller and enlarged" in caplog.text


def test_what_is_done_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = folder(tmp_path / "x", 39)
    (root / "clear.png").write_bytes(encoded(picture(0, channels=4)))
    with caplog.at_level(logging.INFO):
        load(root)
    (line,) = [record.message for record in caplog.records]
    for part in ("held out", "20x30 RGB (--image-size changes it)", "fit crop", "1 with transparent pixels, on white"):
        assert part in line


def test_pictures_that_are_not_read_are_called_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = folder(tmp_path / "x", 30)
    (root / "1.jxl").write_bytes(b"x")
    load(root)
    assert "1 picture is in a format that gancli does not read (1 .jxl); convert to PNG or JPEG" in caplog.text


def test_a_share_that_leaves_nothing_on_one_side_gives_way(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = folder(tmp_path / "x", 3)
    for holdout, none in ((1e-6, "none"), (1 - 1e-6, "all")):
        with caplog.at_level(logging.INFO):
            found = load(root, holdout=holdout)
        assert f"would hold out {none} of 3 pictures" in caplog.text
        assert len(found.train) == (2 if none == "none" else 1)
        assert load(root, holdout=found.options["holdout"]).fingerprint == found.fingerprint


def test_pictures_that_cannot_be_split(tmp_path: Path) -> None:
    root = folder(tmp_path / "x", 1)
    with pytest.raises(DataError, match="1 picture cannot be split"):
        load(root)
    with pytest.raises(DataError, match="1 picture, and none is as large as --image-size"):
        load(root, (64, 64), small_images="skip")
    (root / "copy.png").write_bytes((root / "000.png").read_bytes())
    with pytest.raises(DataError, match="2 pictures of one content cannot be split"):
        load(root)


def test_so_few_pictures_are_learnt_by_heart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load(folder(tmp_path / "x", 2))
    assert "only 1 picture to train on" in caplog.text
    caplog.clear()
    load(folder(tmp_path / "y", 40))
    assert "to train on" not in caplog.text


def test_pictures_that_are_too_small_are_no_bad_ones_in_the_share(tmp_path: Path) -> None:
    root = folder(tmp_path / "x", 30)
    for number in range(30, 40):
        (root / f"{number}.png").write_bytes(encoded(picture(number, 64, 64)))
    (root / "empty.png").write_bytes(b"")
    (root / "empty too.png").write_bytes(b"")
    found = load(root, (64, 64), small_images="skip", bad_images="skip", holdout=0.5)
    assert len(found.skipped) == 32


def test_streamed_pictures_are_the_cached_ones(tmp_path: Path) -> None:
    root = folder(tmp_path / "x", 50)
    cached, streamed = load(root, (16, 24)), load(root, (16, 24), cache=False)
    assert streamed.fingerprint == cached.fingerprint
    rows = torch.tensor([3, 0, 17, 3])
    for one, other in ((cached.train, streamed.train), (cached.heldout, streamed.heldout)):
        assert one.images.shape == other.images.shape
        assert torch.equal(torch.cat(list(other.images.split(7))), one.images)
    assert torch.equal(streamed.train.images[rows], cached.train.images[rows])
    assert torch.equal(streamed.train.images[2:5], cached.train.images[2:5])


def test_a_picture_that_is_gone_while_streaming_is_named(tmp_path: Path) -> None:
    root = folder(tmp_path / "x")
    found = load(root, cache=False)
    for path in root.iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"'\d+\.png' of .* is not what it was .*No such file"):
        found.train.images[:3]


def test_a_picture_that_is_another_while_streaming_is_named(tmp_path: Path) -> None:
    """It may be one that is held out."""
    root = folder(tmp_path / "x")
    found = load(root, cache=False)
    for path in root.iterdir():
        path.write_bytes(encoded(picture(99)))
    with pytest.raises(DataError, match=r"'\d+\.png' of .* is not what it was .*has changed"):
        found.train.images[:3]


def test_names_and_options_that_make_no_sense(tmp_path: Path) -> None:
    for name, message in (
        ("", "no data set ''"),
        ("a" * 5000, "no such folder"),
        ("~nobody-of-that-name/x", "no such folder"),
        ("mnits", "did you mean 'mnist'"),
        (str(tmp_path / "gone"), "where it is now with --data"),
        ("bell\a", "plain name"),
        (os.fsdecode(b"\xff"), "plain name"),
    ):
        with pytest.raises(UsageError, match=message):
            data.load(name)
    with pytest.raises(UsageError, match="--max-pixels are for folders"):
        data.load("digits", options=PictureOptions(holdout=0.3))
    (tmp_path / "file.txt").write_text("x")
    with pytest.raises(UsageError, match="neither a folder nor a zip"):
        load(tmp_path / "file.txt")


@pytest.mark.parametrize("name", ["full\u3000width", "می\u200cبیند", "👨\u200d👩\u200d👧", "[bold]%s"])
def test_a_folder_is_named_in_any_script(tmp_path: Path, name: str) -> None:
    assert len(load(folder(tmp_path / name)).train)


@pytest.mark.slow
def test_cifar10_as_an_archive(data_root: Path) -> None:
    found = load(data_root / "cifar10-train.zip", labels="folder")
    assert len(found.train) + len(found.heldout) == 50_000
    assert found.train.images.shape[1:] == (3, 32, 32)
    assert found.train.labels is not None and found.heldout.labels is not None
    per_class = torch.bincount(torch.cat([found.train.labels, found.heldout.labels]))
    assert per_class.tolist() == [5000] * 10
    assert found.classes[0] == "airplane"
    assert abs(len(found.heldout) - 5000) < 4 * (5000 * 0.9) ** 0.5, "a tenth, within four deviations"


def test_a_single_stack_is_told_of_its_pages(tmp_path: Path) -> None:
    pages = [picture(number).convert("L") for number in range(12)]
    stack = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "stack.tif").write_bytes(stack)
    with pytest.raises(DataError, match="--frames all takes 11 further frames"):
        data.load(str(tmp_path / "one"), cache=False)
    found = data.load(str(tmp_path / "one"), options=PictureOptions(frames="all"), cache=False)
    assert len(found.train) + len(found.heldout) == 12
