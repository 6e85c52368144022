"""The cache of decoded pictures: once, whole, shared, or not at all."""

import errno
import fcntl
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import numpy as np
import pytest
import torch
from PIL import Image
from sample_pictures import encoded, folder, picture

from gancli import data
from gancli.data import DataSet, PictureOptions
from gancli.data.pictures import cache_folder, decoded_cache, facts, reading
from gancli.errors import DataError, UsageError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own for each test, filled in blocks of 8."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(facts, "MAX_IN_BLOCK", 8)
    return tmp_path / "cache" / "gancli" / "pictures"


@pytest.fixture
def decoded_names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are decoded from now on."""
    names: list[str] = []
    decode = reading.Decoder._frame

    def noting(decoder, file, entry, digest):  # type: ignore[no-untyped-def]
        names.append(entry.name)
        return decode(decoder, file, entry, digest)

    monkeypatch.setattr(reading.Decoder, "_frame", noting)
    return names


def versions(cache: Path) -> list[Path]:
    """The folders of pixels in a cache."""
    return [path for path in cache.glob("*/*") if path.is_dir()]


def load(root: Path, **options: object) -> DataSet:
    return data.load(str(root), options=PictureOptions(bad_images="skip"), **options)  # type: ignore[arg-type]


def interrupted(root: Path) -> None:
    """Decode 24 pictures of a folder."""

    def stop(done: int, total: int) -> None:
        if done == 24:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(root, on_progress=stop)


def same(one: DataSet, other: DataSet) -> bool:
    pairs = ((one.train.images[:], other.train.images[:]), (one.heldout.images[:], other.heldout.images[:]))
    return one.fingerprint == other.fingerprint and all(torch.equal(*pair) for pair in pairs)


def test_the_second_start_decodes_nothing(tmp_path: Path, decoded_names: list[str]) -> None:
    root = folder(tmp_path / "x")
    first = load(root)
    assert len(decoded_names) == 40
    decoded_names.clear()
    assert same(load(root), first)
    assert not decoded_names


def test_a_changed_file_alone_is_decoded_again(tmp_path: Path, decoded_names: list[str]) -> None:
    root = folder(tmp_path / "x")
    load(root)
    for change, expected in (
        (lambda: (root / "003.png").write_bytes(encoded(picture(77))), ["003.png"]),
        (lambda: os.utime(root / "003.png", ns=(1, 1)), []),
        (lambda: (root / "003.png").rename(root / "other.png"), []),
        (lambda: (root / "new.png").write_bytes(encoded(picture(78))), ["new.png"]),
        (lambda: (root / "004.png").unlink(), []),
    ):
        decoded_names.clear()
        change()
        found = load(root)
        assert decoded_names == expected
        assert same(found, load(root, cache=False))
    decoded_names.clear()
    load(root, size=(8, 8))
    assert len(decoded_names) == 40


def test_versions_of_a_folder_take_the_room_of_one(tmp_path: Path, cache: Path) -> None:
    root = folder(tmp_path / "x", 40)
    load(root)
    before = cache_folder.size_of(cache)
    for number in range(40, 44):
        (root / f"{number:03}.png").write_bytes(encoded(picture(number)))
        load(root)
    for path in root.iterdir():
        os.utime(path, ns=(number, 7))
    load(root)
    data.load(str(root), options=PictureOptions(bad_images="skip", color="rgb", holdout=0.3))
    assert len(versions(cache)) == 1
    assert cache_folder.size_of(cache) < before * 1.2, "four pictures more, of forty"


def test_another_share_held_out_decodes_nothing(tmp_path: Path, decoded_names: list[str]) -> None:
    root = folder(tmp_path / "x")
    load(root)
    decoded_names.clear()
    options = PictureOptions(holdout=0.4)
    found = data.load(str(root), options=options)
    assert not decoded_names
    assert same(found, data.load(str(root), options=options, cache=False))


def test_deep_pictures_are_brought_to_the_range_of_a_changed_folder(tmp_path: Path, cache: Path) -> None:
    root = tmp_path / "x"
    root.mkdir()
    for number in range(40):
        values = np.arange(64, dtype=np.uint16).reshape(8, 8) * 60 + number
        Image.fromarray(values).save(root / f"{number:02}.tif")
    assert load(root).options["range"] == "0,4095"
    Image.fromarray(np.full((8, 8), 30_000, np.uint16)).save(root / "bright.tif")
    found = load(root)
    assert found.options["range"] == "0,32767"
    assert same(found, load(root, cache=False))
    size = cache_folder.size_of(cache)
    again = data.load(str(root), options=PictureOptions(range="0,32767"))
    assert torch.equal(again.train.images, found.train.images)
    assert cache_folder.size_of(cache) == size, "the range that is found and the same one chosen are one"


def test_sets_beyond_the_limit_go_by_their_last_use(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, decoded_names: list[str]
) -> None:
    """Each takes 41 KiB and a little."""
    monkeypatch.setenv("GANCLI_CACHE_GIB", str(110_000 / 2**30))
    roots = [folder(tmp_path / name, 20, height=20, width=34) for name in "abc"]
    for age, root in ((2, roots[0]), (1, roots[1])):
        load(root)
        for used in cache.glob("*/used"):
            os.utime(used, (used.stat().st_atime, used.stat().st_mtime - age))
    load(roots[0])  # so that b was used longest ago
    load(roots[2])
    assert {Path(each.source).name for each in cache_folder.kept_sets()} == {"a", "c"}
    assert cache_folder.size_of(cache) <= 110_000
    decoded_names.clear()
    load(roots[0])
    assert not decoded_names


def test_a_set_that_is_larger_than_the_limit_is_kept_alone(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(folder(tmp_path / "a"))
    monkeypatch.setenv("GANCLI_CACHE_GIB", "0")
    assert len(load(folder(tmp_path / "b")).train)
    assert [Path(each.source).name for each in cache_folder.kept_sets()] == ["b"]
    monkeypatch.setenv("GANCLI_CACHE_GIB", "much")
    with pytest.raises(UsageError, match="GANCLI_CACHE_GIB=much is not a number of GiB"):
        load(tmp_path / "b")


def test_folders_that_agree_in_names_sizes_and_times_are_not_confused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        root = folder(tmp_path / name, 0)
        for number in range(40):
            (root / f"{number}.bmp").write_bytes(encoded(picture(number + 100 * (name == "b")), "BMP"))
            os.utime(root / f"{number}.bmp", ns=(0, 0))
    assert not same(load(tmp_path / "a"), load(tmp_path / "b"))


@pytest.mark.parametrize("damage", ["nothing", "torn line", "half a block", "lost pixels"])
def test_what_was_interrupted_goes_on(tmp_path: Path, cache: Path, decoded_names: list[str], damage: str) -> None:
    root = folder(tmp_path / "x")
    (root / "007x.png").write_bytes(b"")
    interrupted(root)
    (kept,) = versions(cache)
    if damage == "torn line":
        with (kept / decoded_cache.FACTS).open("a") as file:
            file.write('{"done": 8, "tra')
    elif damage == "half a block":
        with (kept / "train.u8").open("ab") as file:
            file.write(bytes(1000))
    elif damage == "lost pixels":
        os.truncate(kept / "train.u8", 1000)
    decoded_names.clear()
    done: list[int] = []
    found = load(root, on_progress=lambda count, total: done.append(count))
    assert done == ([0, 8, 16, 24, 32, 40, 41] if damage == "lost pixels" else [24, 32, 40, 41])
    assert sorted(decoded_names)[-1] == "039.png"
    shutil.rmtree(cache)
    assert same(load(root), found)


def test_two_processes_at_once_share_the_work(tmp_path: Path) -> None:
    root = folder(tmp_path / "x", 200)
    code = f"from gancli import data; d = data.load({str(root)!r}); print(d.fingerprint, d.train.images.sum().item())"
    started = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [process.communicate(timeout=120)[0].split() for process in started]
    found = data.load(str(root), cache=False)
    expected = [found.fingerprint, str(found.train.images[:].sum().item())]
    assert answers == [expected, expected]


@pytest.fixture
def held(tmp_path: Path, cache: Path) -> Iterator[TextIO]:
    """The lock of a folder ``x`` of 40 pictures, 24 of which are decoded, in the hand of another process."""
    interrupted(folder(tmp_path / "x"))
    (lock,) = cache.glob("*.lock")
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def test_the_second_waits_for_the_first(tmp_path: Path, held: TextIO) -> None:
    found: list[DataSet] = []
    waiting = threading.Thread(target=lambda: found.append(load(tmp_path / "x")))
    waiting.start()
    waiting.join(0.3)
    assert not found
    fcntl.flock(held, fcntl.LOCK_UN)
    waiting.join(30)
    assert len(found[0].train) + len(found[0].heldout) == 40


def test_what_is_whole_needs_nobodys_leave(tmp_path: Path, cache: Path) -> None:
    """So that a cache that cannot be written serves too."""
    first = load(folder(tmp_path / "x"))
    (lock,) = cache.glob("*.lock")
    lock.unlink()
    lock.mkdir()
    assert same(load(tmp_path / "x"), first)


def test_clearing_spares_what_is_being_decoded(tmp_path: Path, cache: Path, held: TextIO) -> None:
    load(folder(tmp_path / "other", 20))
    assert cache_folder.clear_cache() > 0
    (kept,) = versions(cache)
    assert (kept / decoded_cache.FACTS).read_text().count("\n") == 3, "three blocks, the 24 pictures"


def test_a_lock_whose_file_is_gone_holds_nobody_up(tmp_path: Path, held: TextIO) -> None:
    lock = Path(held.name)
    lock.unlink()
    found = load(tmp_path / "x")
    assert len(found.train) + len(found.heldout) == 40
    assert lock.exists(), "a new one, since nobody else could see the old"


@pytest.mark.parametrize("when", ["before", "during"])
def test_a_full_disk_is_one_line_and_leaves_nothing(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    root = folder(tmp_path / "x")
    if when == "before":
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 90, 10))  # type: ignore[attr-defined]
    else:
        flushed: list[object] = []

        def full(file: object) -> None:
            flushed.append(file)
            if len(flushed) > 5:
                raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(decoded_cache, "_flush", full)
    with pytest.raises(DataError, match=r"the disk (is full|has 0.0 MiB).*--no-cache"):
        load(root)
    assert not versions(cache)
    assert not [path for path in cache.iterdir() if path.is_dir()]


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(DataError, match="XDG_CACHE_HOME"):
        load(folder(tmp_path / "x"))
    assert len(load(tmp_path / "x", cache=False).train)


def test_clearing_frees_what_was_taken_and_harms_no_reader(tmp_path: Path, cache: Path) -> None:
    found = load(folder(tmp_path / "x"))
    before = found.train.images.clone()
    assert cache_folder.cache_size() >= 40 * 3 * 20 * 30
    assert cache_folder.clear_cache() > 0
    assert not cache.exists()
    assert torch.equal(found.train.images, before)
    assert cache_folder.clear_cache() == 0
