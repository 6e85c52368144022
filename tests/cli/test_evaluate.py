"""``gancli eval`` and ``gancli compare`` at a shell: inputs, files, refusals."""

import csv
import io
import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from gancli import data
from gancli.api import TrainResult
from gancli.cli import run
from gancli.evaluation import load_features
from gancli.evaluation.sources.folders import report_of
from gancli.evaluation.tables import multiple, with_error
from gancli.sampling.rendering import save_png

Capture = pytest.CaptureFixture[str]
DIGITS = data.load("digits")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 held-out digits as PNG files, which stand for somebody else's samples."""
    folder = tmp_path_factory.mktemp("fakes")
    for number, image in enumerate(DIGITS.heldout.images[:200]):
        save_png(image, folder / f"{number:04}.png")
    return folder


def answer(capsys: Capture, *arguments: str, code: int = 0) -> dict:
    capsys.readouterr()
    assert run([*arguments, "--json", "-q"]) == code
    return json.loads(capsys.readouterr().out)


def fails(capsys: Capture, *arguments: str) -> str:
    capsys.readouterr()
    assert run(["eval", *arguments]) == 2
    out, errors = capsys.readouterr()
    assert out == ""
    assert len(errors.splitlines()) == 1, errors
    return errors


def test_a_folder_against_a_named_set(capsys: Capture, pictures: Path) -> None:
    report = answer(capsys, "eval", "--fake", str(pictures), "--real", "digits", "--metrics", "fd,coverage,swd,copies")
    names = {figure["metric"]: figure for figure in report["figures"]}
    assert names["coverage"]["n"] == 200
    assert names["coverage"]["value"] == 1, "they are the held-out images themselves"
    assert names["fd"]["name"] == f"fd_{report['extractor']}"
    assert names["swd"]["name"] == "swd_pixels"
    assert report["generated"] == str(pictures)


def test_several_sets_are_cut_from_a_large_folder(capsys: Capture, pictures: Path) -> None:
    report = answer(capsys, "eval", "--fake", str(pictures), "--real", "digits", "--metrics", "fd", "--n", "60")
    assert len(report["figures"][0]["values"]) == 3
    assert report["figures"][0]["error"] > 0


def test_two_folders_with_the_training_images_beside(capsys: Capture, pictures: Path, tmp_path: Path) -> None:
    train, real = tmp_path / "train", tmp_path / "real"
    for number, image in enumerate(DIGITS.train.images[:300]):
        save_png(image, train / f"{number:04}.png")
    for number, image in enumerate(DIGITS.heldout.images[200:]):
        save_png(image, real / f"{number:04}.png")
    wanted = ["--metrics", "copies,coverage,authpct"]
    copied = answer(capsys, "eval", "--fake", str(train), "--real", str(real), "--train", str(train), *wanted)
    values = {figure["metric"]: figure["value"] for figure in copied["figures"]}
    assert values["copies"] == 1
    assert values["authpct"] == 0
    assert copied["extractor"].startswith("lite0_")
    assert copied["figures"][0]["n"] == 130
    honest = answer(capsys, "eval", "--fake", str(pictures), "--real", str(real), "--train", str(train), *wanted)
    assert {figure["metric"]: figure["value"] for figure in honest["figures"]}["copies"] < 0.1


def test_one_folder_is_halved_if_no_training_images_are_named(capsys: Capture, pictures: Path) -> None:
    report = answer(capsys, "eval", "--fake", str(pictures), "--real", str(pictures), "--metrics", "fast")
    assert 60 < report["figures"][0]["n"] < 140
    assert report["figures"][0]["baseline"] is not None


def test_one_picture_repeated_is_no_obstacle(capsys: Capture, tmp_path: Path) -> None:
    for number in range(30):
        save_png(DIGITS.heldout.images[3], tmp_path / f"{number}.png")
    report = answer(capsys, "eval", "--fake", str(tmp_path), "--real", "digits", "--metrics", "duplicates")
    assert report["figures"][0]["value"] == 1


def test_features_are_saved_and_measured_again(capsys: Capture, pictures: Path, tmp_path: Path) -> None:
    saved = tmp_path / "features"
    first = answer(
        capsys, "eval", "--fake", str(pictures), "--real", "digits", "--metrics", "fd,coverage,authpct",
        "--save-features", str(saved),
    )  # fmt: skip
    assert {path.name for path in saved.iterdir()} == {"generated-1.npz", "heldout.npz", "train.npz"}
    features = load_features(saved / "heldout.npz")
    assert (features.split, features.extractor) == ("heldout", first["extractor"])
    assert features.facts["fingerprint"] == DIGITS.fingerprint
    again = answer(
        capsys, "eval", "--fake", str(saved / "generated-1.npz"), "--real", str(saved / "heldout.npz"),
        "--train", str(saved / "train.npz"), "--metrics", "fd,coverage,authpct",
    )  # fmt: skip
    assert again["fingerprint"] == first["fingerprint"]
    for before, after in zip(first["figures"], again["figures"], strict=True):
        assert (after["name"], after["n"]) == (before["name"], before["n"])
        if before["metric"] == "authpct":
            assert after["value"] == before["value"]
    assert "--save-features" in fails(
        capsys, "--fake", str(pictures), "--real", "digits", "--save-features", str(saved)
    )


def test_every_checkpoint_of_a_run_and_a_comparison(capsys: Capture, tiny_run: TrainResult, tmp_path: Path) -> None:
    arguments = ["eval", "--run", str(tiny_run.run), "--metrics", "fd,coverage", "--sets", "2", "--n", "60"]
    out = tmp_path / "curve"
    report = answer(capsys, *arguments, "--out", str(out))
    steps = [each["step"] for each in report["checkpoints"]]
    assert steps == [4, 8, 12]
    assert {path.name for path in out.iterdir()} == {*(f"step-{step:06}.json" for step in steps), "curve.png"}
    with Image.open(out / "curve.png") as picture:
        assert picture.width > picture.height > 200
    assert "--out" in fails(capsys, *arguments[1:], "--out", str(out))
    found = answer_of_compare(capsys, str(out / "step-000004.json"), str(out / "step-000012.json"))
    assert [row["figures"][0]["metric"] for row in found["rows"]] == ["fd", "coverage"]
    other = answer(capsys, *arguments[:-1], "50", "--out", str(tmp_path / "other"))
    assert other["checkpoints"]
    capsys.readouterr()
    assert run(["compare", str(out / "step-000012.json"), str(tmp_path / "other" / "step-000012.json")]) == 2
    assert "N is 60 in the first and 50 in the other" in capsys.readouterr().err


def test_a_damaged_checkpoint_does_not_spoil_the_others(capsys: Capture, tiny_run: TrainResult, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(tiny_run.run, copy)
    checkpoints = sorted((copy / "checkpoints").iterdir())
    checkpoints[1].write_bytes(checkpoints[1].read_bytes()[:1000])
    arguments = ["eval", "--run", str(copy), "--metrics", "fd", "--sets", "1", "--n", "40"]
    assert run([*arguments, "--json", "-q"]) == 0
    out, errors = capsys.readouterr()
    assert [each["step"] for each in json.loads(out)["checkpoints"]] == [4, 12]
    assert f"{checkpoints[1].name}" in errors and "left out" in errors
    for path in checkpoints:
        path.write_bytes(b"PK")
    assert "no checkpoint that can be read" in fails_at_last(capsys, *arguments)


def fails_at_last(capsys: Capture, *arguments: str) -> str:
    capsys.readouterr()
    assert run([*arguments, "-q"]) == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_pictures_that_cannot_be_read_are_an_error_or_skipped(capsys: Capture, pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(pictures, tmp_path / "fakes")
    (tmp_path / "fakes" / "0500.png").write_bytes(b"broken")
    (tmp_path / "none").mkdir()
    arguments = ["--fake", str(tmp_path / "fakes"), "--real", "digits", "--metrics", "fd"]
    assert "--bad-images skip" in fails(capsys, *arguments, "-q")
    assert answer(capsys, "eval", *arguments, "--bad-images", "skip")["figures"][0]["n"] == 200
    real = ["--real", str(tmp_path / "fakes"), "--train", "digits", "--bad-images", "skip", "-q"]
    assert run(["eval", "--fake", str(pictures), *real, "--metrics", "fd"]) == 0
    assert capsys.readouterr().err.count(": 1 bad file;") == 1, "once, though they are read twice"
    assert run(["eval", *arguments, "--bad-images", "skip", "-q"]) == 0
    assert f"left out of {tmp_path / 'fakes'}: 1 bad file;" in capsys.readouterr().err
    assert "error: --fake" in fails(capsys, "--fake", str(tmp_path / "none"), *arguments[2:], "-q")
    assert "error: --real" in fails(capsys, *arguments[:2], "--real", str(tmp_path / "none"), "-q")
    text = tmp_path / "text.pth"
    text.write_text("hello")
    for flag, given in (("--fake", (text, "digits")), ("--real", (pictures, text))):
        names = ["--fake", str(given[0]), "--real", str(given[1])]
        assert f"error: {flag}: {text} is neither" in fails(capsys, *names, "-q")
    names = ["--fake", str(pictures), "--real", "digits", "--train", "ring"]
    assert "--train ring has no pictures" in fails(capsys, *names, "-q")


def test_points_and_pictures_are_not_compared(capsys: Capture, tiny_run: TrainResult) -> None:
    errors = fails(capsys, "--ckpt", str(tiny_run.generator), "--real", "ring", "-q")
    assert "draws pictures of 1 channels and ring has points" in errors and "--real" in errors


def test_one_picture_is_told_to_be_too_few(capsys: Capture, pictures: Path, tmp_path: Path) -> None:
    shutil.copy(pictures / "0000.png", tmp_path)
    report = answer(capsys, "eval", "--fake", str(tmp_path), "--real", "digits")
    assert "fd" not in {figure["metric"] for figure in report["figures"]}
    assert any(each.startswith("left out: fd") for each in report["warnings"])


def test_a_comparison_with_figures_that_are_no_numbers_is_json(
    capsys: Capture, tiny_run: TrainResult, tmp_path: Path
) -> None:
    arguments = ["eval", "--ckpt", str(tiny_run.generator), "--metrics", "fd,coverage", "--sets", "2", "--n", "50"]
    report = answer(capsys, *arguments)
    report["figures"][0] |= {"value": None, "values": [None, 1.0]}
    for folder in ("a-run-of-a-rather-long-name", "another-run-of-a-long-name", "third"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "report.json").write_text(json.dumps(report))
    paths = [str(each / "report.json") for each in sorted(tmp_path.iterdir())]
    capsys.readouterr()
    assert run(["compare", *paths, "--json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(name))
    assert found["rows"][0]["figures"][0]["value"] is None
    assert run(["compare", *paths]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "(1)" in lines[0] + lines[1] and "(1): a-run-of-a-rather-long-name/report" in lines


def answer_of_compare(capsys: Capture, *paths: str) -> dict:
    capsys.readouterr()
    assert run(["compare", *paths, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_run_that_was_not_evaluated_cannot_be_compared(capsys: Capture, tiny_run: TrainResult) -> None:
    assert run(["compare", str(tiny_run.run), str(tiny_run.run)]) == 2
    assert "gancli eval --run" in capsys.readouterr().err


def test_report_and_plots_in_a_folder(capsys: Capture, tiny_run: TrainResult, tmp_path: Path) -> None:
    out = tmp_path / "report"
    arguments = ["eval", "--ckpt", str(tiny_run.generator), "--metrics", "fast,ppl", "--sets", "2", "--n", "80"]
    assert run([*arguments, "--out", str(out), "-q"]) == 0
    text = capsys.readouterr().out
    assert "finding: " in text
    assert "±" in text
    fd = next(line for line in text.splitlines() if line.startswith(" fd_"))
    assert fd.split()[-2] == multiple(report_of(out).figure("fd").times_real)
    assert {path.name for path in out.iterdir()} == {"report.json", "classes.png", "pr_curve.png", "neighbours.png"}
    for picture in out.glob("*.png"):
        with Image.open(picture) as shown:
            shown.load()
    figures = {f["metric"]: f for f in json.loads((out / "report.json").read_text())["figures"]}
    assert figures["ppl"]["value"] > 0
    assert figures["ppl"]["baseline"] is None
    assert figures["ppl"]["error"] > 0
    assert run(["compare", str(out), str(out / "report.json")]) == 0


def test_csv_has_a_line_for_each_figure(capsys: Capture, tiny_run: TrainResult) -> None:
    assert run(["eval", "--ckpt", str(tiny_run.generator), "--metrics", "fd,kid", "--n", "50", "--csv", "-q"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["metric"] for row in rows] == ["fd", "kid"]
    assert float(rows[0]["value"]) > 0
    assert rows[0]["n"] == "50"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "(RUN, FILE, latest or best, also as --ckpt), --fake DIR with --real DIR, or --run"),
        (["--ckpt", "a", "--fake", "b"], "give one of"),
        (["--fake", "none", "--real", "digits"], "--fake none"),
        (["--fake", "."], "--fake needs --real"),
        (["--fake", ".", "--real", "digit"], "did you mean 'digits'"),
        (["--fake", ".", "--real", "ring"], "has points"),
        (["--fake", "none.npz", "--real", "digits"], "none.npz"),
        (["--fake", ".", "--real", "none.npz"], "cannot read none.npz"),
        (["--run", "none"], "--run none"),
        (["--ckpt", "none.pth", "--sets", "0"], "--sets 0"),
        (["--ckpt", "none.pth", "--n", "-3"], "--n -3"),
        (["--ckpt", "none.pth", "--train", "digits"], "--train goes with --fake"),
        (["--ckpt", "none.pth", "--json", "--csv"], "exclude each other"),
        (["--ckpt", "none.pth", "--extractor", "inceptoin"], "did you mean 'inception'"),
        (["--ckpt", "none.pth", "--extractor", "clip"], "needs --weights"),
        (["--ckpt", "none.pth", "--weights", "x"], "has none"),
        (["--ckpt", "none.pth", "--metrics", "fdd"], "did you mean 'fd'"),
        (["--ckpt", "none.pth", "--fail-if", "fdd<3"], "no metric 'fdd'"),
        (["--ckpt", "none.pth", "--fail-if", "kid>3", "--metrics", "fd"], "kid is not measured; add kid to --metrics"),
        (["--ckpt", "none.pth", "--fail-if", "fid>3", "--metrics", "kid"], "fid is not measured; add fd to --metrics"),
        (["--ckpt", "none.pth", "--sets", "1000000000"], "--sets 1000000000 must be more than 0 and at most 1,000"),
    ],
)
def test_every_mistake_is_one_line(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in fails(capsys, *arguments, "-q")
    assert not list(tmp_path.iterdir())


def test_conditions_in_a_shell_script(tiny_run: TrainResult) -> None:
    script = f"""
    set -u
    gancli="{sys.executable} -m gancli eval --ckpt {tiny_run.generator} --metrics fd,coverage --n 60 --sets 1 -q --json"
    $gancli --fail-if 'fd<0' --fail-if 'coverage>1' > /dev/null && echo passed
    $gancli --fail-if 'fd<0, coverage<=1' --fail-if 'fd>=0' > /dev/null
    echo $?
    """
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["passed", "4"]
    assert re.fullmatch(
        r"gancli: error: coverage is [\d.]+, fd is [\d.]+: --fail-if coverage<=1 and fd>=0\.\n", done.stderr
    )


def test_more_images_than_are_held_out_are_told(capsys: Capture, tiny_run: TrainResult) -> None:
    assert run(["eval", "--ckpt", str(tiny_run.generator), "--metrics", "fd", "--n", "999", "--sets", "1", "-q"]) == 0
    out, errors = capsys.readouterr()
    assert errors == "gancli: warning: --n 999 is more than the 330 real images to compare with; N is that.\n"
    assert "N = 330 images on each side" in out


def test_classes_of_real_pictures_come_from_their_folders(capsys: Capture, tmp_path: Path) -> None:
    labels = DIGITS.train.labels
    assert labels is not None
    for number, image in enumerate(DIGITS.train.images[:600]):
        save_png(image, tmp_path / "real" / DIGITS.classes[labels[number]] / f"{number}.png")
    for number, image in enumerate(DIGITS.heldout.images[:100]):
        save_png(image, tmp_path / "fake" / f"{number}.png")
    arguments = ["eval", "--fake", str(tmp_path / "fake"), "--real", str(tmp_path / "real"), "--metrics", "modes"]
    report = answer(capsys, *arguments, "--labels", "folder")
    assert report["extractor"].startswith("lenet_")
    assert report["figures"][0]["value"] == 10
    assert "labelled data" in fails(capsys, *arguments[1:], "-q")
    assert "--labels 'folders'" in fails(capsys, *arguments[1:], "--labels", "folders")


@pytest.mark.parametrize("wanted", ["standard", "fd,ppl"])
def test_tables_fit_eighty_columns(
    capsys: Capture, tiny_run: TrainResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    common = ["--metrics", wanted, "--sets", "2", "--n", "100", "-q"]
    out = tmp_path / "curve"
    assert run(["eval", "--run", str(tiny_run.run), "--out", str(out), *common]) == 0
    assert run(["eval", "--ckpt", str(tiny_run.generator), *common]) == 0
    assert run(["compare", *(str(out / f"step-00000{step}.json") for step in (4, 8))]) == 0
    tables = [line for line in capsys.readouterr().out.splitlines() if line.startswith(" ")]
    assert len(tables) >= 14
    assert max(map(len, tables)) <= 80
    assert not any("…" in line for line in tables)


@pytest.mark.parametrize(("times", "text"), [(None, ""), (3.251, "3.3"), (0.87, "0.9"), (1234.5, "1,234")])
def test_a_multiple_has_the_digits_that_matter(times: float | None, text: str) -> None:
    assert multiple(times) == text


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (1.2345, None, "1.234"), (None, None, "-"), (1.2345, 0.0567, "1.23 ± 0.06"), (1.2345, 0.0123, "1.234 ± 0.012"),
        (123.4, 20.0, "123 ± 20"), (10.0, 0.0, "10 ± 0"), (math.nan, 0.1, "nan ± 0.1"),
        (-0.0101, 0.0003, "-0.0101 ± 0.0003"), (-0.0004, 0.00006, "-0.0004 ± 6e-05"),
    ],
)  # fmt: skip
def test_digits_that_mean_nothing_are_not_shown(value: float | None, error: float | None, text: str) -> None:
    assert with_error(value, error) == text
