"""What `gancli eval` is given: pictures of other sizes, colours and formats, arrays, and pytorch-fid's moments."""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch
from PIL import Image
from torch import Tensor

import gancli
from gancli import data, evaluate
from gancli.api import TrainResult
from gancli.cli import run
from gancli.data.arrays import at_shape
from gancli.errors import FileFormatError, UsageError
from gancli.evaluation import Features, findings, save_features
from gancli.evaluation.metrics.frechet import Moments, frechet_distance, frechet_distance_of_moments, moments_of
from gancli.evaluation.metrics.tone import tone_distance
from gancli.evaluation.pictures import Pictures, differences, pictures_of
from gancli.evaluation.report import Report, load_report
from gancli.evaluation.sources.arrays import read_array

Capture = pytest.CaptureFixture[str]
N = 60


def colourful(count: int = N, seed: int = 0, side: int = 16) -> Tensor:
    """Smooth pictures in colour, uint8 ``(count, 3, side, side)``."""
    coarse = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(255 * coarse, (side, side), mode="bilinear").byte()


def folder(path: Path, images: Tensor, form: str = "png") -> str:
    path.mkdir()
    for number, image in enumerate(images):
        picture = Image.fromarray(image.permute(1, 2, 0).squeeze(2).numpy())
        picture.save(path / f"{number:04}.{form}")
    return str(path)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> str:
    return folder(tmp_path_factory.mktemp("pictures") / "real", colourful(2 * N))


def said(report: Report) -> str:
    return "\n".join(report.findings)


@pytest.mark.parametrize(
    ("fakes", "form", "finding"),
    [
        (colourful(seed=1), "png", None),
        (colourful(seed=1, side=8), "png", "generated pictures are 8x8, real ones 16x16; the generated were enlarged"),
        (colourful(seed=1, side=32), "png", "the generated were shrunk to 16x16"),
        (colourful(seed=1, side=32)[:, :, :16], "png", "the generated were shrunk, their edges cut off, to 16x16"),
        (colourful(seed=1)[:, :1], "png", "colour: 100% of the generated pictures are grey, of real ones 0%"),
        (colourful(seed=1)[:, :1].expand(-1, 3, -1, -1), "png", "colour: 100% of the generated pictures are grey"),
        (colourful(seed=1), "jpg", "format: the generated pictures are JPEGs"),
    ],
)  # fmt: skip
def test_what_is_done_to_generated_pictures_is_a_finding(
    tmp_path: Path, real: str, fakes: Tensor, form: str, finding: str | None
) -> None:
    given = folder(tmp_path / "fake", fakes, form)
    report = evaluate(fake=given, data=real, metrics="tone", sets=1, extractor="pixels", cache=False)
    words = ("size: ", "colour: ", "format: ")
    if finding is None:
        assert not any(word in said(report) for word in words)
    else:
        assert finding in report.findings[0]
    height, width = fakes.shape[2:]
    plain = report.as_dict()
    assert plain["generated_pictures"]["sizes"] == {f"{height}x{width}": N}
    assert plain["real_pictures"]["sizes"] == {"16x16": 2 * N}
    assert plain["compared_at"] == "16x16"


def test_colour_against_grey_real_pictures_is_a_finding() -> None:
    grey, colour = pictures_of(colourful()[:, :1]), pictures_of(colourful())
    assert differences(grey, grey, "16x16") == []
    assert "100% of the real pictures are grey, of generated ones 0%" in differences(colour, grey, "16x16")[0]


def test_both_sides_are_printed_and_come_back_from_json(tmp_path: Path, real: str, capsys: Capture) -> None:
    given = folder(tmp_path / "fake", colourful(side=8))
    arguments = ["eval", "--fake", given, "--real", real, "--metrics", "tone", "--extractor", "pixels", "--no-cache"]
    assert run([*arguments, "-q"]) == 0
    assert "pictures: generated 8x8 RGB PNG, real 16x16 RGB PNG; compared at 16x16." in capsys.readouterr().out
    assert run([*arguments, "-q", "--json"]) == 0
    (tmp_path / "report.json").write_text(capsys.readouterr().out)
    report = load_report(tmp_path / "report.json")
    assert report.generated_pictures == Pictures({"8x8": N}, {"RGB": N}, {"PNG": N})


def test_several_sizes_are_counted() -> None:
    mixed = Pictures({"8x8": 3, "16x16": 5, "9x9": 1}, {"RGB": 9}, {"PNG": 9})
    assert str(mixed) == "16x16 (and 2 others) RGB PNG"
    assert differences(mixed, Pictures({"16x16": 9}, {"RGB": 9}, {"PNG": 9}), "16x16")


def test_nothing_stands_out_is_not_said_beside_a_difference() -> None:
    report = Report((), "x", None, "heldout", "f", 0, (), findings=(findings.NOTHING,))
    same, other = pictures_of(colourful()), pictures_of(colourful(side=8))
    assert findings.with_pictures(report, same, same, "16x16").findings == (findings.NOTHING,)
    assert findings.NOTHING not in findings.with_pictures(report, other, same, "16x16").findings


@pytest.mark.parametrize("suffix", ["npz", "npy"])
def test_arrays_of_samples_are_measured_as_their_pictures_are(tmp_path: Path, real: str, suffix: str) -> None:
    fakes = colourful(seed=1)
    save = np.savez if suffix == "npz" else np.save
    save(tmp_path / f"samples.{suffix}", fakes.permute(0, 2, 3, 1).numpy())  # type: ignore[operator]
    options = {"data": real, "metrics": "fd,tone", "sets": 1, "extractor": "random", "cache": False}
    by_array = evaluate(fake=tmp_path / f"samples.{suffix}", **options)  # type: ignore[arg-type]
    by_files = evaluate(fake=folder(tmp_path / "fake", fakes), **options)  # type: ignore[arg-type]
    assert [figure.value for figure in by_array.figures] == pytest.approx([figure.value for figure in by_files.figures])


def test_an_array_may_be_the_real_side(tmp_path: Path) -> None:
    images = colourful(2 * N)
    np.savez(tmp_path / "real.npz", images.permute(0, 2, 3, 1).numpy())
    np.savez(tmp_path / "fake.npz", colourful(seed=1).permute(0, 2, 3, 1).numpy())
    report = evaluate(fake=tmp_path / "fake.npz", data=tmp_path / "real.npz", metrics="tone", sets=1)
    assert 0.3 * N < report.figure("tone").n <= N
    assert report.figure("tone").baseline is not None, "one half is compared with, the other gives the baseline"


def test_an_array_is_resized_as_the_pictures_of_a_folder_are(tmp_path: Path) -> None:
    images = colourful(5, side=20)
    for shape in ((1, 16, 16), (3, 10, 16), (4, 8, 8)):
        path = folder(tmp_path / f"{shape}", images)
        expected = data.load_pictures(Path(path), shape, data.PictureOptions(), cache=False)
        assert torch.equal(at_shape(images, shape), expected)


def moments(seed: int, d: int = 6) -> tuple[np.ndarray, np.ndarray]:
    features = np.random.default_rng(seed).normal(size=(50, d)) @ np.random.default_rng(seed + 1).normal(size=(d, d))
    return features.mean(0), np.cov(features, rowvar=False)


def test_two_files_of_mu_and_sigma_give_the_published_formula(tmp_path: Path, capsys: Capture) -> None:
    sides = [moments(1), moments(5)]
    for name, (mu, sigma) in zip("ab", sides, strict=True):
        np.savez(tmp_path / f"{name}.npz", mu=mu, sigma=sigma)
    (mu1, sigma1), (mu2, sigma2) = sides
    root = scipy.linalg.sqrtm(sigma1 @ sigma2).real
    expected = np.square(mu1 - mu2).sum() + np.trace(sigma1 + sigma2 - 2 * root)
    arguments = ["eval", "--fake", str(tmp_path / "a.npz"), "--real", str(tmp_path / "b.npz"), "-q"]
    assert run([*arguments, "--json"]) == 0
    (figure,) = json.loads(capsys.readouterr().out)["figures"]
    assert figure["value"] == pytest.approx(expected)
    assert (figure["metric"], figure["baseline"], figure["n"]) == ("fd", None, 0)
    assert run(arguments) == 0
    assert "N = unknown" in capsys.readouterr().out
    assert run([*arguments, "--metrics", "kid"]) == 2
    assert "kid cannot be computed from mu and sigma" in capsys.readouterr().err


def test_mu_and_sigma_against_features_are_the_distance_of_features(tmp_path: Path) -> None:
    a, b = (torch.randn(80, 6, generator=torch.Generator().manual_seed(s), dtype=torch.float64) for s in (0, 1))
    save_features(tmp_path / "a.npz", Features(a, None, "inception_1a2b", "generated"))
    known = moments_of(b)
    np.savez(tmp_path / "b.npz", mu=known.mean.numpy(), sigma=known.covariance.numpy())
    report = evaluate(fake=tmp_path / "a.npz", data=tmp_path / "b.npz")
    assert report.figure("fd").value == pytest.approx(frechet_distance(a, b))
    assert report.figure("fd").name == "fd_inception_1a2b"
    np.savez(tmp_path / "b.npz", mu=np.zeros(5), sigma=np.eye(5))
    with pytest.raises(UsageError, match="fake has 6 features, data has 5"):
        evaluate(fake=tmp_path / "a.npz", data=tmp_path / "b.npz")


def test_a_singular_covariance_has_a_distance() -> None:
    flat = Moments(torch.zeros(3).double(), torch.zeros(3, 3).double())
    assert frechet_distance_of_moments(flat, Moments(torch.ones(3).double(), flat.covariance)) == 3


def test_pictures_against_mu_and_sigma_need_the_extractor(tmp_path: Path, real: str) -> None:
    mu, sigma = moments(1)
    np.savez(tmp_path / "b.npz", mu=mu, sigma=sigma)
    with pytest.raises(UsageError, match=r"inception.*weights.*FILE"):
        evaluate(fake=real, data=tmp_path / "b.npz")


def test_other_arrays_are_refused_in_words(tmp_path: Path) -> None:
    cases = {
        "floats": {"arr_0": np.zeros((3, 8, 8, 3), np.float32)},
        "five": {"arr_0": np.zeros((3, 8, 8, 5), np.uint8)},
        "two": {"a": np.zeros((3, 2)), "b": np.zeros((3, 2))},
        "none": {},
        "empty": {"arr_0": np.zeros((0, 8, 8, 3), np.uint8)},
        "nan": {"arr_0": np.full((3, 2), np.nan)},
        "unfit": {"mu": np.zeros(3), "sigma": np.eye(4)},
        "infinite": {"mu": np.full(3, np.inf), "sigma": np.eye(3)},
        "pickle": {"arr_0": np.array([{"a": 1}], dtype=object)},
    }
    for name, arrays in cases.items():
        np.savez(tmp_path / f"{name}.npz", **arrays)
        with pytest.raises(FileFormatError, match=rf"{name}\.npz"):
            read_array(str(tmp_path / f"{name}.npz"))
    labelled = {"arr_0": np.zeros((3, 8, 8, 3), np.uint8), "labels": np.zeros(3, np.int64)}
    np.savez(tmp_path / "labelled.npz", **labelled)
    assert isinstance(read_array(str(tmp_path / "labelled.npz")), Tensor)


def test_pictures_that_are_decoded_on_demand_give_the_same_figures(tmp_path: Path, real: str) -> None:
    fakes = folder(tmp_path / "fake", colourful(seed=1))
    reports = [
        evaluate(fake=fakes, data=real, metrics="fast", sets=1, extractor="random", cache=c) for c in (True, False)
    ]
    assert [figure.value for figure in reports[0].figures] == [figure.value for figure in reports[1].figures]
    assert {"tone", "swd"} <= {figure.metric for figure in reports[1].figures}


def test_tone_is_the_same_in_batches_of_any_size() -> None:
    many = torch.randint(0, 256, (2500, 1, 2, 2), generator=torch.Generator().manual_seed(0)).byte()
    assert tone_distance(many, many // 2) == pytest.approx((many.float().mean() - (many // 2).float().mean()).item())


def test_a_kid_below_zero_is_explained(tmp_path: Path) -> None:
    same = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    np.savez(tmp_path / "a.npz", features=same.numpy())
    report = evaluate(fake=tmp_path / "a.npz", data=tmp_path / "a.npz", metrics="kid")
    assert report.figure("kid").value < 0
    assert any("a kid below 0 means 0" in note for note in report.warnings)
    np.savez(tmp_path / "b.npz", features=same.numpy() + 3)
    report = evaluate(fake=tmp_path / "b.npz", data=tmp_path / "a.npz", metrics="kid")
    assert not any("a kid below 0" in note for note in report.warnings)


def test_labels_of_pictures_can_be_chosen_for_a_generator(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    for number, image in enumerate(colourful(80)):
        folder_of_class = pictures / ("left" if number % 2 else "right")
        folder_of_class.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder_of_class / f"{number}.png")
    run_folder = gancli.train(
        data=str(pictures), recipe="vanilla", steps=2, batch_size=4, out=str(tmp_path / "runs"), progress="none",
        holdout=0.5, threads=1,
    )  # fmt: skip
    without = evaluate(run_folder.generator, metrics="fd", sets=1, labels="none")
    assert without.accuracy is None
    by_folder = evaluate(run_folder.generator, metrics="fd,modes", sets=1, labels="folder")
    assert by_folder.accuracy is not None
    assert set(by_folder.shares) == {"left", "right"}


def test_labels_of_a_named_set_are_its_own(tiny_run: TrainResult) -> None:
    with pytest.raises(UsageError, match="labels is for folders and zip files"):
        evaluate(tiny_run.generator, labels="none")


def test_one_range_can_be_given_for_both_sides(tmp_path: Path) -> None:
    """By itself each folder's brightest value becomes white, so that half the light looks the same."""
    for name, brightest in (("real", 4095), ("fake", 2047)):
        (tmp_path / name).mkdir()
        for number, image in enumerate(colourful(seed=3).double().mean(1).numpy()):
            values = (image / image.max() * brightest).astype(np.uint16)
            Image.fromarray(values).save(tmp_path / name / f"{number:02}.tif")
    sides = {"fake": str(tmp_path / "fake"), "data": str(tmp_path / "real"), "metrics": "tone", "sets": 1}
    tones = [
        evaluate(**sides, extractor="pixels", cache=False, range=choice).figure("tone").value  # type: ignore[arg-type]
        for choice in ("auto", "0,4095")
    ]
    assert tones[0] < 10 < 30 < tones[1]
    with pytest.raises(UsageError, match="range"):
        evaluate(**sides, range="4095")  # type: ignore[arg-type]
