"""What counts as a picture of a folder or an archive, in which order, and what a listing never does."""

import os
import zipfile
from pathlib import Path

import pytest
from sample_pictures import encoded, picture, zipped

from gancli.data.pictures import formats
from gancli.data.pictures import listing as listings
from gancli.data.pictures.listing import list_pictures
from gancli.errors import DataError, UsageError

PNG = encoded(picture())


def names(path: Path) -> list[str]:
    return [entry.name for entry in list_pictures(path).entries]


def test_names_in_any_script_are_found_in_order_and_litter_is_not(tmp_path: Path) -> None:
    wanted = sorted(["b.png", "A.JPG", "名前.webp", "new\nline.png", "[bold]%s.gif", " space .tiff", "sub/deep/x.bmp"])
    for name in [*wanted, ".DS_Store", "._a.png", "__MACOSX/b.png", "Thumbs.db", "notes.txt", ".git/c.png"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(PNG)
    assert names(tmp_path) == wanted
    assert list_pictures(tmp_path).others == 1, "notes.txt"


def test_names_that_are_no_text_can_be_read(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.png")).write_bytes(PNG)
    (entry,) = list_pictures(tmp_path).entries
    assert list_pictures(tmp_path).read(entry) == PNG


def test_links_are_followed_once_and_never_upwards(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    for folder in (root / "a", elsewhere):
        folder.mkdir(parents=True)
        (folder / "x.png").write_bytes(PNG)
    for name, target in {
        "loop": root,
        "up": tmp_path,
        "far": elsewhere,
        "again": elsewhere,
        "whole": Path("/"),
    }.items():
        (root / name).symlink_to(target)
    assert names(root) == ["a/x.png", "again/x.png"]


def test_what_would_block_or_never_end_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zeros.png").symlink_to("/dev/zero")
    (tmp_path / "nowhere.png").symlink_to("gone")
    (tmp_path / "self.png").symlink_to("self.png")
    with (tmp_path / "sparse.png").open("wb") as file:
        file.truncate(2**40)
    found = list_pictures(tmp_path)
    assert len(found.entries) == 5
    for entry in found.entries:
        with pytest.raises(
            ValueError, match=r"regular file|No such file|symbolic links|more than a picture file may have"
        ):
            found.read(entry)


def test_a_folder_that_cannot_be_opened_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.png").write_bytes(PNG)
    (tmp_path / "closed").mkdir()
    scan = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)  # root is refused nothing
    entries = list_pictures(tmp_path).entries
    assert [(entry.name, entry.problem) for entry in entries] == [
        ("x.png", ""),
        ("closed", "the folder cannot be opened: Permission denied"),
    ]


def test_an_archive_is_read_in_place_whatever_its_names(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", {"y.png": PNG}).read_bytes()
    hostile = {"../../up.png": PNG, "/etc/root.png": PNG, "dir/x.png": PNG, "__MACOSX/._x.png": b"x", "in.zip": inner}
    path = zipped(tmp_path / "pictures.zip", hostile)
    before = sorted(tmp_path.rglob("*"))
    found = list_pictures(path)
    assert [entry.name for entry in found.entries] == ["../../up.png", "/etc/root.png", "dir/x.png"]
    assert all(found.read(entry) == PNG for entry in found.entries)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_member_without_a_name_is_no_picture(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"good.png": PNG, "n": PNG})
    raw = bytearray(path.read_bytes())
    head = raw.rindex(b"PK\x01\x02")
    raw[head + 28 : head + 32] = b"\0\0\1\0"  # the name's only letter becomes an extra field
    path.write_bytes(raw)
    assert names(path) == ["good.png"]


@pytest.mark.parametrize("lie", ["size", "checksum", "encrypted", "method"])
def test_a_member_that_lies_is_one_bad_file(tmp_path: Path, lie: str) -> None:
    path = zipped(tmp_path / "x.zip", {"good.png": PNG, "liar.png": PNG + bytes(1000)})
    raw = bytearray(path.read_bytes())
    head = raw.rindex(b"PK\x01\x02")  # the directory's entry of liar.png
    place, value = {
        "size": (24, (10).to_bytes(4, "little")),
        "checksum": (16, b"\1\2\3\4"),
        "encrypted": (8, b"\1\0"),
        "method": (10, b"\x63\0"),
    }[lie]
    raw[head + place : head + place + len(value)] = value
    path.write_bytes(raw)
    found = list_pictures(path)
    assert found.read(found.entries[0]) == PNG
    with pytest.raises(ValueError, match=r"CRC|encrypted|compression|damaged"):
        found.read(found.entries[1])


def test_a_member_that_claims_to_be_huge_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zipped(tmp_path / "x.zip", {"bomb.png": bytes(10_000)})
    monkeypatch.setattr(listings, "MAX_BYTES", 9_999)
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("unpacked"))
    found = list_pictures(path)
    with pytest.raises(ValueError, match="more than a picture file may have"):
        found.read(found.entries[0])


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04" + bytes(40), b"PK\x05\x06" + b"\xff" * 18])
def test_what_is_no_archive_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"x\.zip"):
        list_pictures(path)


def test_an_empty_folder_and_a_pipe_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(UsageError):
            list_pictures(path)


def test_runs_of_gancli_are_no_pictures(tmp_path: Path) -> None:
    """Who trains in the folder of the pictures has samples among them, and could never resume."""
    run = tmp_path / "runs" / "0001-x"
    (run / "samples").mkdir(parents=True)
    for path in (tmp_path / "x.png", run / "samples" / "000001.png"):
        path.write_bytes(PNG)
    for name in ("config.toml", "environment.json"):
        (run / name).write_text("")
    assert names(tmp_path) == ["x.png"]
    assert names(run) == ["samples/000001.png"], "asked for by its name"


def test_a_link_in_an_archive_is_one_bad_file(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("link.png")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    found = list_pictures(path)
    with pytest.raises(ValueError, match="symbolic link"):
        found.read(found.entries[0])


def test_an_archive_that_was_cut_off_says_so(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"x.png": PNG})
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match="downloaded completely"):
        list_pictures(path)


def test_pictures_in_formats_that_are_not_read_are_counted(tmp_path: Path) -> None:
    for name in ("a.png", "b.jxl", "c.JXL", "d.dng", "notes.txt"):
        (tmp_path / name).write_bytes(PNG)
    found = list_pictures(tmp_path)
    assert (found.unread, found.others) == ({".jxl": 2, ".dng": 1}, 4)
    (tmp_path / "a.png").unlink()
    with pytest.raises(UsageError, match=r"has no pictures .*; 3 pictures are in a format .*2 \.jxl, 1 \.dng"):
        list_pictures(tmp_path)


def test_labels_lie_beside_the_pictures_or_above_them(tmp_path: Path) -> None:
    files = {"mine/all/1.png": PNG, "mine/all/2.png": PNG, "other/dataset.json": b"{}", "mine/dataset.json": b"{}"}
    found = list_pictures(zipped(tmp_path / "x.zip", files))
    assert found.labels is not None and found.labels.name == "mine/dataset.json"
    assert found.others == 1, "the one elsewhere"


def test_what_is_inside_a_file_of_another_name_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "FORMATS", ("JPEG", "PNG"))
    for head, said in (
        (b"\0\0\0\x18ftypheic", r"gancli[heic]"),
        (b"\0\0\0\x18ftypavif", "Pillow 11.3"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    ):
        assert said in (formats.named_inside(head) or "")
    assert formats.named_inside(PNG) is None
    assert "pip install 'gancli[heic]'" in formats.advice({".heic": 2})
