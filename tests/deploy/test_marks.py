"""Pictures say that they were generated, in every format, and an original is told from a changed one."""

import json
import shutil
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from small_generators import write_generator

from gancli import cli
from gancli.api import TrainResult
from gancli.deploy.inspection import inspect
from gancli.recipes.base import Spec
from gancli.sampling import embedding, output, rendering, xmp
from gancli.sampling.generator import load_generator
from gancli.sampling.mark import MAX_PACKET, Mark, mark_in, mark_of
from gancli.sampling.stamping import Stamp
from gancli.sampling.visible_label import VisibleLabel

SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
NAMES = ("red, white & <blue>", "Ätna", "x\ty", "d")
DRAWN = {
    "a.png": ["--n", "5"], "a.jpg": ["--n", "5"], "a.webp": ["--n", "3", "--trunc", "0.8"], "a.npz": ["--n", "9"],
    **{f"a.{form}": ["--seeds", "1,5,6", "--interpolate", "4"] for form in ("gif", "apng", "mp4")},
    "walk.webp": ["--seeds", "4,2", "--interpolate", "3", "--label", "AI"],
    "one.png": ["--seeds", "7", "--producer", "Ä & Co"],
    "labelled.png": ["--n", "4", "--label", "AI-generated"], "labelled.jpg": ["--n", "2", "--label", "AI-generated"],
    "folder/": ["--seeds", "3,8", "--interpolate", "3", "--class", "d", "--class", "Ätna"],
}  # fmt: skip
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def ckpt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_generator(tmp_path_factory.mktemp("cgan") / "gen.pth", "cgan", Spec(1, 8, 8, 4), NAMES)


@pytest.fixture(scope="module")
def drawn(ckpt: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file of each kind."""
    folder = tmp_path_factory.mktemp("drawn")
    for name, flags in DRAWN.items():
        assert cli.run(["sample", str(ckpt), "--quiet", "--out", f"{folder}/{name}", *flags]) == 0
    return folder


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".json")


def packet_of(path: Path) -> bytes:
    if path.suffix == ".npz":
        return embedding.packet_in_array(path) or b""
    if path.suffix == ".mp4":
        return embedding.packet_in_mp4(path.read_bytes()) or b""
    with Image.open(path) as picture:
        return embedding.packet_in_picture(picture, path.read_bytes()) or b""


def test_every_file_is_drawn_again_pixel_by_pixel(drawn: Path, ckpt: Path) -> None:
    generator = load_generator(ckpt, torch.device("cpu"))
    for path in files(drawn):
        inspected = inspect(path, generator)
        assert inspected.problem is None and inspected.proof is not None
        assert (inspected.proof.verdict, inspected.proof.reason) == (
            "same",
            "drawn again, it is the same in every pixel",
        )
    mark = inspect(drawn / "folder" / "000004.png").mark
    assert mark is not None
    assert (mark.numbers, mark.frames, mark.frame, mark.classes, mark.seed) == ((8, 3), 3, 1, ("Ätna",), 0)
    assert inspect(drawn / "a.png").as_dict()["mark"]["classes"] == list(NAMES)


def test_other_tools_read_the_mark(drawn: Path) -> None:
    with (
        Image.open(drawn / "a.jpg") as jpeg,
        Image.open(drawn / "a.webp") as webp,
        Image.open(drawn / "one.png") as png,
    ):
        for packet in (jpeg.info["xmp"], webp.info["xmp"], png.info["XML:com.adobe.xmp"].encode()):
            assert f"DigitalSourceType>{SOURCE}<".encode() in packet and b"AISystemUsed>gancli cgan<" in packet
        record = json.loads(png.info["AIGC"])
    assert (record["Label"], record["ContentProducer"], len(record)) == ("1", "Ä & Co", 7)
    for name, frames in ("a.gif", 12), ("a.apng", 12), ("walk.webp", 6):
        with Image.open(drawn / name) as film:
            assert len(list(ImageSequence.Iterator(film))) == frames and film.info["loop"] == 0
    assert np.load(drawn / "a.npz").files == ["arr_0", "labels", "classes"]


@pytest.mark.skipif(not shutil.which("exiftool"), reason="exiftool is not installed")
def test_exiftool_reads_the_mark(drawn: Path) -> None:
    pictures = [path for path in files(drawn) if path.suffix != ".npz"]
    told = subprocess.run(["exiftool", "-json", "-G1", *pictures], check=True, capture_output=True, text=True)
    for path, tags in zip(pictures, json.loads(told.stdout), strict=True):
        assert tags["XMP-iptcExt:DigitalSourceType"] == SOURCE, path
        assert tags["XMP-iptcExt:AISystemUsed"] == "gancli cgan"
        assert len(tags["XMP-gancli:Generator"]) == 64
        assert not [name for name in tags if name.endswith(("Warning", "Error"))]
        if path.name == "one.png":
            assert str(tags["XMP-gancli:Number"]) == "7" and json.loads(tags["XMP-TC260:Aigc"])["Label"] == "1"


def test_equal_pictures_are_equal_files_and_no_mark_leaves_none(drawn: Path, ckpt: Path, tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "a.webp", "a.gif", "a.npz", "a.apng", "a.mp4"):
        assert cli.run(["sample", str(ckpt), "--quiet", "--out", f"{tmp_path}/{name}", *DRAWN[name]]) == 0
        assert (tmp_path / name).read_bytes() == (drawn / name).read_bytes()
        bare = ["sample", str(ckpt), "--quiet", "--out", f"{tmp_path}/bare-{name}", *DRAWN[name], "--no-mark"]
        assert cli.run(bare) == 0
        assert b"gancli" not in (tmp_path / f"bare-{name}").read_bytes()


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.npz", "labelled.png", "a.jpg"])
def test_one_changed_pixel_is_told(name: str, drawn: Path, ckpt: Path, tmp_path: Path, capsys: Capture) -> None:
    changed = tmp_path / name
    if name.endswith(".npz"):
        array = np.load(drawn / name)["arr_0"]
        array[3, 4, 5] ^= 128
        np.savez(changed, arr_0=array)
        with zipfile.ZipFile(changed, "a") as archive:
            archive.comment = packet_of(drawn / name)
    else:
        mark = mark_in(packet_of(drawn / name))
        with Image.open(drawn / name) as picture:
            pixels = torch.from_numpy(np.array(picture))
        pixels[20, 30] ^= 1 if name == "a.png" else 128
        image = pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)
        changed.write_bytes(rendering.as_file(image, changed.suffix[1:], Stamp(mark)))
    assert cli.run(["inspect", str(changed), "--ckpt", str(ckpt), "--json", "--quiet"]) == 1
    told = json.loads(capsys.readouterr().out)["files"][0]
    assert told["sound"] and told["mark"]["recipe"] == "cgan"
    assert told["proof"]["verdict"] == "differs" and told["proof"]["differing"] >= 1
    assert told["proof"]["largest"] == 1 if name == "a.png" else told["proof"]["largest"] > 20


def test_a_picture_of_another_generator_or_without_a_mark_proves_nothing(drawn: Path, tmp_path: Path) -> None:
    other = load_generator(
        write_generator(tmp_path / "o.pth", "cgan", Spec(1, 8, 8, 4), NAMES, seed=1), torch.device("cpu")
    )
    proof = inspect(drawn / "a.png", other).proof
    assert proof is not None and proof.verdict == "differs" and "names another generator" in proof.reason
    bare = tmp_path / "bare.png"
    Image.new("RGB", (8, 8)).save(bare)
    proof = inspect(bare, other).proof
    assert proof is not None and proof.verdict == "unknown"


@pytest.mark.parametrize(
    "said",
    [
        {"numbers": "0-9999999,3"}, {"numbers": "seven"}, {"numbers": "5-2"}, {"labels": "0,99"}, {"labels": "-1"},
        {"truncation": "nan"}, {"truncation": "-1"}, {"frames": "99999999999999999999999"}, {"frames": "999999999"},
        {"seed": "x"}, {"frame": "7", "frames": "3"}, {"aigc": "{"}, {"numbers": "3"},
    ],
)  # fmt: skip
def test_a_strange_mark_is_told_and_costs_nothing(said: dict[str, str], ckpt: Path, tmp_path: Path) -> None:
    generator = load_generator(ckpt, torch.device("cpu"))
    names = {"numbers": "Numbers", "labels": "ClassNumbers", "truncation": "Truncation", "frames": "Frames",
             "seed": "Seed", "frame": "Frame"}  # fmt: skip
    values = {"gancli:Generator": generator.identity, "gancli:Numbers": "0-3"}
    values |= {"TC260:AIGC" if name == "aigc" else f"gancli:{names[name]}": value for name, value in said.items()}
    path = tmp_path / "strange.webp"
    Image.new("L", (134, 134)).save(path, lossless=True, xmp=xmp.packet(values))
    assert not inspect(path, generator).is_fine


@pytest.mark.parametrize(
    "packet",
    [
        b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;'>]><x>&b;</x>",
        b"<x", b"\xff\xfe\x00", b"", b"<x/>" + b" " * 2**21, "<!DOCTYPE x SYSTEM 'file:///etc/passwd'><x/>".encode("utf-16"),
    ],
)  # fmt: skip
def test_hostile_xmp_is_not_read(packet: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    Image.new("L", (8, 8)).save(path, lossless=True, xmp=packet)
    inspected = inspect(path)
    assert inspected.mark is None
    assert inspected.problem is not None or not packet


def test_what_a_mark_says_comes_back(ckpt: Path) -> None:
    marks = [
        Mark("ab" * 32, "r3gan", seed=2**62, numbers=(5, 6, 7, 9), labels=(3, 1), classes=("]]>", "&amp;\r\n"),
             frames=3, truncation=0.1 + 0.2, columns=2, producer='"\\', label="<b>"),
        Mark("ab" * 32, "vaegan", is_composite=True),
    ]  # fmt: skip
    for mark in marks:
        back = mark_in(mark.packet())
        assert back == replace(mark, classes=tuple(name.replace("\r\n", "\n") for name in mark.classes))
    unreadable = replace(marks[0], classes=("\x00\ud800", "b"))
    back = mark_in(unreadable.packet())
    assert back is not None and back.labels == (3, 1), "a class is known by its number too"


def test_too_many_numbers_for_a_jpeg_are_left_out() -> None:
    mark = mark_of("ab" * 32, "cgan", NAMES, [3 * number for number in range(40_000)], seed=0)
    assert len(mark.packet()) < MAX_PACKET
    rendering.as_file(torch.zeros(1, 8, 8, dtype=torch.uint8), "jpg", Stamp(mark))
    back = mark_in(mark.packet())
    assert back is not None and not back.numbers and back.generator == "ab" * 32


def test_the_grids_of_a_training_are_marked(tiny_run: TrainResult) -> None:
    assert tiny_run.samples is not None
    inspected = inspect(tiny_run.samples)
    generator = inspect(tiny_run.generator)
    assert inspected.mark is not None and generator.problem is None
    assert (inspected.mark.generator, inspected.mark.numbers) == (generator.facts["generator"], tuple(range(64)))


def test_a_visible_label_leaves_the_picture_as_it_is_and_can_be_read() -> None:
    picture = torch.randint(0, 256, (3, 600, 700), dtype=torch.uint8)
    labelled = VisibleLabel("AI-GENERATED").under(picture)
    assert torch.equal(labelled[:, :600], picture) and labelled.shape[2] == 700
    rows = (labelled[0, 600:] < 128).any(1).nonzero()
    assert rows.max() - rows.min() + 1 >= 0.05 * 600, "the height that GB 45438-2025 asks for"
    small = VisibleLabel("AI").under(torch.zeros(4, 8, 8, dtype=torch.uint8))
    assert torch.equal(small[3].unique(), torch.tensor([0, 255])) and small.shape[2] > 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sample", "x.pth", "--no-mark", "--producer", "Me"], "which --no-mark leaves out"),
        (["sample", "x.pth", "--label", "a", "--out", "x.npz"], "holds pixels alone"),
        (["sample", "x.pth", "--label", "生成"], "has no 生 成"),
        (["sample", "x.pth", "--label", " \n"], "nothing that can be drawn"),
        (["sample", "x.pth", "--label", "a" * 201], "200 at most"),
        (["sample", "x.pth", "--label-font", "x.ttf"], "--label-font is for --label"),
        (["sample", "x.pth", "--label", "a", "--label-font", "none.ttf"], "--label-font none.ttf cannot be read"),
        (["inspect", "none.png"], "there is no such file"),
        (["inspect"], "nothing is given for FILE"),
    ],
)
def test_a_wrong_flag_is_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(arguments) == 2
    out, errors = capsys.readouterr()
    assert message in errors and len(errors.splitlines()) == 1 and not out
    assert not list(tmp_path.iterdir())


def test_inspect_says_what_is_damaged(tiny_run: TrainResult, tmp_path: Path, capsys: Capture, drawn: Path) -> None:
    run = shutil.copytree(tiny_run.run, tmp_path / "run")
    assert cli.run(["inspect", str(run), *map(str, sorted(run.glob("*.pth"))), f"{run}/config.toml"]) == 0
    assert "averaged" not in capsys.readouterr().out
    checkpoint = sorted((run / "checkpoints").iterdir())[0]
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    half = tmp_path / "half.png"
    half.write_bytes((drawn / "a.png").read_bytes()[:1500])
    (tmp_path / "foreign.txt").write_text("hello")
    paths = [str(path) for path in (run, half, checkpoint, tmp_path / "foreign.txt")]
    assert cli.run(["inspect", *paths, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)["files"]
    assert [each["kind"] for each in told] == ["run", "picture", "checkpoint", "unknown"]
    assert not any(each["sound"] for each in told)
    assert checkpoint.name in told[0]["problem"] and "truncated" in told[1]["problem"].lower()


def test_a_sheet_holds_what_it_says(ckpt: Path) -> None:
    images = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)
    assert output.content_of(images, "png") == rendering.as_file(rendering.grid(images))


def test_labels_beside_drawn_pictures_are_told(drawn: Path, tmp_path: Path) -> None:
    labels = inspect(drawn / "folder" / "dataset.json")
    assert (labels.kind, labels.problem) == ("labels", None) and labels.facts["classes"] == list(NAMES)
    assert labels.facts["pictures"] == len(list((drawn / "folder").glob("*.png")))
    (tmp_path / "dataset.json").write_text('{"label": []}')
    assert inspect(tmp_path / "dataset.json").problem == "it has no list of labels"
