"""``--data`` with pictures, ``gancli data check`` and ``gancli data cache``, as typed at a shell."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sample_pictures import encoded, folder, picture, png_that_claims, zipped

from gancli.cli import run

TINY = ["--recipe", "dcgan", "--steps", "3", "--batch-size", "8", "--threads", "1", "--quiet"]
Capture = pytest.CaptureFixture[str]


def hostile(root: Path) -> Path:
    """60 sound pictures with every kind of bad file among them, fewer than a tenth."""
    folder(root, 60)
    (root / "truncated.png").write_bytes(encoded(picture(5, 200, 200))[:200])
    (root / "empty\n.jpg").write_bytes(b"")
    (root / "bomb.png").write_bytes(png_that_claims(60000, 60000))
    (root / "text.webp").write_text("hello")
    scan = bytearray(encoded(picture(66, 200, 300), "TIFF", compression="tiff_lzw"))
    scan[200:400] = b"\xff" * 200
    (root / "scan.tif").write_bytes(scan)
    os.mkfifo(root / "pipe.png")
    (root / "loop").symlink_to(root)
    (root / "名前.jpg").write_bytes(encoded(picture(61).convert("CMYK"), "JPEG"))
    Path(os.fsdecode(os.fsencode(root) + b"/\xff.png")).write_bytes(encoded(picture(62, channels=4)))
    (root / "wide.png").write_bytes(encoded(picture(63, 3, 10000)))
    (root / "dot.png").write_bytes(encoded(picture(64, 1, 1)))
    return root


def test_a_hostile_folder_trains_resumes_and_is_evaluated(tmp_path: Path, capsys: Capture) -> None:
    root, out = hostile(tmp_path / "my v1.5 pictures"), tmp_path / "runs"
    train = ["train", "--data", str(root), "--out", str(out), "--image-size", "16x24", "--mirror", *TINY]
    assert run([*train, "--bad-images", "skip"]) == 0
    folder_of_run = out / "0001-my-v1.5-pictures-dcgan"
    skipped = [json.loads(line) for line in (folder_of_run / "skipped.jsonl").read_text().splitlines()]
    assert sorted(each["file"] for each in skipped) == sorted(
        ["truncated.png", "empty\n.jpg", "bomb.png", "text.webp", "pipe.png", "scan.tif"]
    )
    assert all(each["reason"] for each in skipped)
    assert run(["train", "--resume", "latest", "--out", str(out), "--steps", "5", "--quiet"]) == 0
    capsys.readouterr()
    assert run(["eval", "--ckpt", str(folder_of_run / "gen.pth"), "--json", "--quiet"]) == 0
    out_text, errors = capsys.readouterr()
    assert json.loads(out_text)
    assert "not as it was" not in errors
    (root / "new.png").write_bytes(encoded(picture(80)))
    assert run(["eval", "--ckpt", str(folder_of_run / "gen.pth"), "--json", "--quiet"]) == 0
    assert "is not as it was when this generator was trained" in capsys.readouterr().err
    assert run(["train", "--resume", "latest", "--out", str(out), "--steps", "6", "--quiet"]) == 2
    assert "the data have changed" in capsys.readouterr().err


def test_cached_and_streamed_runs_end_alike(tmp_path: Path) -> None:
    root = folder(tmp_path / "x", 60)
    weights = []
    for number, flag in enumerate(["--cache", "--no-cache"], 1):
        assert run(["train", "--data", str(root), "--out", str(tmp_path), "--mirror", flag, *TINY]) == 0
        content = torch.load(tmp_path / f"{number:04}-x-dcgan" / "gen.pth", weights_only=True)
        weights.append(content["weights"])
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_folder_of_a_very_long_name_has_a_run(tmp_path: Path) -> None:
    root = folder(tmp_path / ("y" * 245), 30)
    assert run(["train", "--data", str(root), "--out", str(tmp_path / "runs"), *TINY]) == 0


def test_pictures_that_moved_are_named_again(tmp_path: Path, capsys: Capture) -> None:
    root = folder(tmp_path / "x", 60, channels=1)
    assert run(["train", "--data", str(root), "--out", str(tmp_path), "--holdout", "0.3", *TINY]) == 0
    root.rename(tmp_path / "y")
    ckpt = str(tmp_path / "0001-x-dcgan" / "gen.pth")
    capsys.readouterr()
    assert run(["eval", "--ckpt", ckpt, "--quiet"]) == 2
    assert "--data" in capsys.readouterr().err
    assert run(["eval", "--ckpt", ckpt, "--data", str(tmp_path / "y"), "--json", "--quiet"]) == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--labels", "folders"], "did you mean 'folder'"),
        (["--color", "gray"], "did you mean 'grey'"),
        (["--alpha", "keep"], "--alpha keep needs --color rgba"),
        (["--holdout", "0"], "--holdout 0.0 must be more than 0 and less than 1"),
        (["--holdout", "nan"], "must be a finite number"),
        (["--image-size", "2"], "is not a size"),
        (["--labels", "folder"], "at least two classes"),
        ([], "6 of 70 pictures cannot be used"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, capsys: Capture, flags: list[str], message: str) -> None:
    root = hostile(tmp_path / "x")
    before = sorted(tmp_path.iterdir())
    for command in (
        ["train", "--out", str(tmp_path / "runs"), "--data", str(root), *TINY],
        ["data", "check", str(root)],
    ):
        capsys.readouterr()
        assert run([*command, *flags, *(["--quiet"] if "check" in command else [])]) == 2
        (line,) = [line for line in capsys.readouterr().err.splitlines() if "device" not in line]
        assert line.startswith("gancli: error: ")
        assert message in line
    assert sorted(tmp_path.iterdir()) == before


def test_check_prints_a_table_json_and_a_sheet(tmp_path: Path, capsys: Capture) -> None:
    root, sheet = hostile(tmp_path / "x"), tmp_path / "sheet.png"
    assert run(["data", "check", str(root), "--sheet", str(sheet), "--quiet"]) == 2
    shown = capsys.readouterr().out
    for part in ("pictures", "PNG 63", "RGB 62, CMYK 1, RGBA 1", "'bomb.png'", "'empty\\n.jpg': is empty"):
        assert part in shown
    with Image.open(sheet) as image:
        assert image.width > 200
    before = sheet.read_bytes()
    assert run(["data", "check", str(root), "--sheet", str(sheet)]) == 2
    assert sheet.read_bytes() == before, "an existing file was overwritten"
    capsys.readouterr()
    assert run(["data", "check", str(root), "--bad-images", "skip", "--json", "--quiet"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["pictures"] == 64
    assert found["refusal"] is None
    assert len(found["bad"]) == 6
    assert found["sizes"]["3x10000"] == 1


def test_check_reads_a_numpy_file(tmp_path: Path, capsys: Capture) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 12, 10, 3), dtype=np.uint8)
    pixels[7] = pixels[3]
    path, features = tmp_path / "drawn.npz", tmp_path / "features.npz"
    np.savez(path, arr_0=pixels, labels=np.arange(40) // 30, classes=np.array(["cat", "dog"]))
    np.savez(features, arr_0=np.zeros((40, 5)))
    sheet = tmp_path / "sheet.png"
    assert run(["data", "check", str(path), "--image-size", "8", "--sheet", str(sheet), "--json", "--quiet"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["pictures"], said["sizes"], said["modes"]) == (40, {"12x10": 40}, {"RGB": 40})
    assert (said["classes"], said["duplicates"], said["enlarged"]) == ({"cat": 30, "dog": 10}, [["3", "7"]], 0)
    assert (said["image_size"], said["memory_bytes"]) == ([8, 8], 40 * 3 * 8 * 8) and 0 < said["heldout"] < 40
    assert Image.open(sheet).mode == "RGB"
    assert run(["data", "check", str(path), "--quiet"]) == 0
    assert "40 (and 0 other files)" in capsys.readouterr().out
    assert run(["data", "check", str(features)]) == 2
    assert "wanted are uint8 pictures" in capsys.readouterr().err


def test_an_archive_with_names_that_climb_writes_nothing_outside(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "in").mkdir()
    files = {f"../../{number}.png": encoded(picture(number)) for number in range(40)}
    path = zipped(tmp_path / "in" / "x.zip", files)
    assert run(["train", "--data", str(path), "--out", str(tmp_path / "in" / "runs"), *TINY]) == 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["in"]


def test_a_hostile_folder_leaves_stderr_readable(tmp_path: Path) -> None:
    """No warnings of Pillow's, no tracebacks: in a process of its own, where nothing catches them."""
    command = [sys.executable, "-m", "gancli", "data", "check", str(hostile(tmp_path / "x")), "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_names_that_the_terminal_has_no_letters_for_are_printed(tmp_path: Path) -> None:
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "猫"), "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "gancli", "data", "cache"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)
    assert done.returncode == 0
    assert "\\u732b" in done.stdout


def test_what_check_is_not_for(tmp_path: Path, capsys: Capture) -> None:
    for path, message in (
        ("digits", "write ./digits for a folder"),
        ("", "is empty"),
        (str(tmp_path / "gone"), "no such folder"),
        (os.fsdecode(os.fsencode(folder(tmp_path / "x")) + b"/\xff"), "plain name"),
    ):
        assert run(["data", "check", path, "--quiet"]) == 2
        assert message in capsys.readouterr().err


def test_the_range_of_a_set_is_kept_with_the_run(tmp_path: Path, capsys: Capture) -> None:
    """So that a generator is compared with the pixels it was trained on, whatever is added to the folder."""
    root = tmp_path / "x"
    root.mkdir()
    for number in range(40):
        values = np.random.default_rng(number).random((16, 16)) * 4095
        Image.fromarray(values.astype(np.uint16)).save(root / f"{number}.png")
    assert run(["train", "--data", str(root), "--out", str(tmp_path / "runs"), *TINY]) == 0
    of_run = tmp_path / "runs" / "0001-x-dcgan"
    assert torch.load(of_run / "gen.pth", weights_only=True)["options"]["range"] == "0,4095"
    assert json.loads((of_run / "environment.json").read_text())["parts"][0]["pictures"]["range"] == "0,4095"
    capsys.readouterr()
    assert run(["eval", "--ckpt", str(of_run / "gen.pth"), "--metrics", "fd", "--json", "--quiet"]) == 0
    assert "not as it was" not in capsys.readouterr().err
    assert run(["data", "check", str(root), "--range", "0,100000", "--json"]) == 0
    out, errors = capsys.readouterr()
    assert json.loads(out)["values"] == ["16 bits, values 0 to 4,094: scaled by 100,000"]
    assert "is 10 of 255, so they look black" in errors


def test_the_cache_is_measured_and_cleared(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert run(["train", "--data", str(folder(tmp_path / "x", 60)), "--out", str(tmp_path), *TINY]) == 0
    answers = []
    for flags in ([], ["--clear"], []):
        capsys.readouterr()
        assert run(["data", "cache", "--json", *flags]) == 0
        answers.append(json.loads(capsys.readouterr().out))
    sizes = [answer["bytes"] for answer in answers]
    (kept,) = answers[0]["sets"]
    assert (kept["source"], kept["size"], kept["bytes"]) == (str(tmp_path / "x"), "20x30x3", sizes[0])
    assert answers[0]["limit"] == 32 * 2**30
    assert sizes[0] == sizes[1] >= 60 * 20 * 30 * 3
    assert sizes[2] == 0
