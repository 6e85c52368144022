"""Image k of a seed is one picture, whatever else is asked for; targets are never overwritten unasked."""

import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from scipy import stats

from gancli import sample, train
from gancli.api import TrainResult
from gancli.config.sample_command import Sampling
from gancli.errors import FileFormatError, UsageError
from gancli.sampling import film, generator, output
from gancli.sampling import latents as latent_walk
from gancli.sampling.plan import names_in, plan_sample


def test_an_image_does_not_depend_on_number_or_batch(tiny_run: TrainResult) -> None:
    many = sample(tiny_run.generator, n=150)
    assert many.shape == (150, 1, 8, 8)
    assert many.dtype == torch.uint8
    for batch_size in (1, 7, 64, 500):
        assert torch.equal(sample(tiny_run.generator, n=40, batch_size=batch_size), many[:40])
    assert torch.equal(sample(tiny_run.generator, seeds="140-142,3"), many[[140, 141, 142, 3]])
    assert not torch.equal(sample(tiny_run.generator, n=40, seed=1), many[:40])


def test_the_runs_own_grid_shows_the_same_pictures(tiny_run: TrainResult, tmp_path: Path) -> None:
    target = output.target(tmp_path / "grid.png", overwrite=False)
    output.write(target, [sample(tiny_run.generator, n=64)], range(64))
    assert tiny_run.samples is not None
    grids = [np.asarray(Image.open(path)).astype(int) for path in (target.path, tiny_run.samples)]
    assert np.abs(grids[0] - grids[1]).max() <= 1, "training may multiply by another library, which rounds otherwise"


def test_each_kind_of_target_holds_the_pixels(tiny_run: TrainResult, tmp_path: Path) -> None:
    images = sample(tiny_run.generator, n=20)
    for name in ("a.npy", "folder", "one.png"):
        part = images[:1] if name == "one.png" else images
        output.write(output.target(tmp_path / name, False), [part], range(len(part)))
    array = np.load(tmp_path / "a.npy", allow_pickle=False)
    assert array.shape == (20, 8, 8, 1)
    assert array.dtype == np.uint8
    assert np.array_equal(array[7, :, :, 0], images[7, 0].numpy())
    singles = sorted((tmp_path / "folder").iterdir())
    assert [path.name for path in singles][:2] == ["000000.png", "000001.png"]
    assert np.array_equal(np.asarray(Image.open(singles[7])), images[7, 0].numpy())
    assert np.array_equal(np.asarray(Image.open(tmp_path / "one.png")), images[0, 0].numpy())


def test_formats_with_loss_come_near_and_those_without_are_exact(tmp_path: Path) -> None:
    ramp = torch.linspace(0, 255, 64).round().to(torch.uint8)
    images = torch.stack([ramp.expand(64, 64), ramp.expand(64, 64).mT, (ramp[:, None] / 2 + ramp / 2).byte()])[None]
    for name, largest in ("a.png", 0), ("a.webp", 0), ("a.jpg", 8), ("folder", 8):
        target = output.target(tmp_path / name, False, "jpg" if name == "folder" else None)
        output.write(target, [images], [7])
        written = np.asarray(Image.open(tmp_path / name / "000007.jpg" if name == "folder" else tmp_path / name))
        assert np.abs(written.astype(int) - images[0].permute(1, 2, 0).numpy()).max() <= largest, name
    output.write(output.target(tmp_path / "a.npz", False), [images, images], range(2))
    assert np.array_equal(np.load(tmp_path / "a.npz")["arr_0"][1], images[0].permute(1, 2, 0).numpy())
    with pytest.raises(UsageError, match="does not fit into a JPEG"):
        output.write(output.target(tmp_path / "b.jpg", False), [images.repeat(1, 2, 1, 1)[:, :4]], [0])
    assert not (tmp_path / "b.jpg").exists()


@pytest.mark.parametrize("form", ["gif", "apng", "webp", "mp4"])
def test_a_film_shows_every_frame(form: str, tmp_path: Path) -> None:
    frames = [torch.full((1, 1, 32, 32), 30 * number, dtype=torch.uint8) for number in range(6)]
    target = output.target(tmp_path / f"a.{form}", False, is_walk=True)
    output.write(target, frames, range(6))
    if form == "mp4":
        with av.open(str(target.path)) as video:
            assert float(video.streams.video[0].average_rate) == 25
            pixels = [frame.to_ndarray(format="gray") for frame in video.decode(video=0)]
    else:
        with Image.open(target.path) as picture:
            pixels = [np.asarray(frame.convert("L")) for frame in ImageSequence.Iterator(picture)]
            assert (picture.info["loop"], picture.info["duration"]) == (0, 40)
    assert np.shape(pixels) == (6, 64, 64)
    wanted = 30 * np.arange(6)[:, None, None]
    assert np.abs(np.subtract(pixels, wanted, dtype=int)).max() <= (2 if form == "mp4" else 0)


def test_a_webp_is_a_sheet_unless_it_is_a_walk_and_an_mp4_needs_its_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert output.target(tmp_path / "a.webp", False).kind == "grid"
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UsageError, match=r"av, which is not installed: pip install 'gancli\[film\]'"):
        output.target(tmp_path / "a.mp4", False)


def test_a_film_of_odd_sides_fits_into_an_mp4(tmp_path: Path) -> None:
    images = torch.randint(0, 256, (3, 3, 65, 67), dtype=torch.uint8)
    assert film.frames_of_mp4(film.as_film(images, "mp4")).shape == (3, 66, 68, 3)


def test_what_is_too_large_for_one_picture_is_refused(tmp_path: Path) -> None:
    batch = torch.zeros(2, 1, 512, 512, dtype=torch.uint8)
    with pytest.raises(UsageError, match="too many for one"):
        output.write(output.target(tmp_path / "a.png", False), [batch], range(10_000))
    points = torch.zeros(2, 2, 1, 1)
    with pytest.raises(UsageError, match="points go into"):
        output.write(output.target(tmp_path / "a.gif", False), [points], range(2))


def test_a_walk_passes_through_the_numbered_images_and_is_continuous(tiny_run: TrainResult) -> None:
    walk = sample(tiny_run.generator, seeds="3,9,4", interpolate=20)
    assert walk.shape == (60, 1, 8, 8)
    assert torch.equal(walk[::20], sample(tiny_run.generator, seeds=[3, 9, 4]))
    assert torch.equal(walk, sample(tiny_run.generator, seeds="3,9,4", interpolate=20, batch_size=16))
    jumps = (walk.float() - walk.roll(1, 0).float()).abs().mean((1, 2, 3))
    apart = (walk[0].float() - walk[20].float()).abs().mean()
    assert jumps.max() < apart / 4, "between two images, and from the last to the first"


def test_truncation_takes_variety_away_little_by_little(tiny_run: TrainResult) -> None:
    spreads = [sample(tiny_run.generator, trunc=bound).float().std(0).mean() for bound in (0.01, 0.5, 1.0)]
    assert spreads == sorted(spreads)
    assert torch.equal(sample(tiny_run.generator, trunc=50.0), sample(tiny_run.generator))


def test_truncated_latents_follow_the_truncated_normal_distribution() -> None:
    latents = torch.randn(20_000, generator=torch.Generator().manual_seed(0))
    for bound in (0.3, 1.0, 2.5):
        values = latent_walk.truncated(latents, bound)
        assert values.abs().max() <= bound
        assert stats.kstest(values.numpy(), stats.truncnorm(-bound, bound).cdf).pvalue > 0.01


def test_a_walk_between_equal_or_opposite_latents_is_straight() -> None:
    a, t = torch.tensor([[1.0, 2.0], [1.0, 2.0]]), torch.tensor([[0.25], [0.25]])
    b = a * torch.tensor([[1.0], [-1.0]])
    assert torch.allclose(latent_walk.arc(a, b, t), torch.tensor([[1.0, 2.0], [0.5, 1.0]]))


@pytest.mark.parametrize(
    "options",
    [{"n": 10**9}, {"seed": -1}, {"trunc": 0.0}, {"trunc": float("nan")}, {"trunc": float("inf")}, {"interpolate": 0},
     {"interpolate": 10**7}, {"classes": [""]}],
)  # fmt: skip
def test_what_cannot_be_drawn_is_refused(tiny_run: TrainResult, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        sample(tiny_run.generator, **options)


def test_classes_stay_in_columns(tmp_path: Path) -> None:
    run = train(recipe="cgan", steps=1, out=str(tmp_path), progress="none", threads=1)
    columns = [
        plan_sample(Sampling(run.generator, n=n, classes=classes, interpolate=frames)).columns
        for n, classes, frames in [(64, None, None), (64, ["3", "7", "1"], None), (5, None, None), (4, ["3"], 6)]
    ]
    assert columns == [10, 9, None, 6]


def test_nothing_is_overwritten_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_text("precious")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    for name in ("a.png", "full"):
        with pytest.raises(UsageError, match="exists already"):
            output.target(tmp_path / name, overwrite=False)
    assert output.target(tmp_path / "a.png", overwrite=True).kind == "grid"
    with pytest.raises(UsageError, match=r"cannot write \.bmp"):
        output.target(tmp_path / "a.bmp", overwrite=False)
    (tmp_path / "plain").write_text("precious")
    for name in ("plain", "plain/b.png", "plain/folder"):
        with pytest.raises(UsageError, match="is a file"):
            output.target(tmp_path / name, overwrite=True)
    monkeypatch.chdir(tmp_path)
    assert output.target(None, False).path == Path("samples-0001.png")
    (tmp_path / "samples-0007.png").touch()
    assert output.target(None, False).path == Path("samples-0008.png")


@pytest.mark.parametrize("text", ["", "a", "3-1", "1--2", "-1", "1,,2", "0-99999999999"])
def test_what_is_no_list_of_numbers_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--seeds"):
        generator.parse_numbers(text)


def test_an_unconditional_generator_draws_no_class_on_demand(tiny_run: TrainResult) -> None:
    with pytest.raises(UsageError, match="remove the class"):
        sample(tiny_run.generator, classes=["3"])


def test_a_discriminator_is_no_generator(tiny_run: TrainResult) -> None:
    with pytest.raises(FileFormatError, match="holds a discriminator"):
        sample(tiny_run.discriminator)


def test_a_file_of_an_unknown_recipe_says_so(tiny_run: TrainResult, tmp_path: Path) -> None:
    content = torch.load(tiny_run.generator, weights_only=True)
    torch.save(content | {"recipe": "stylegan9"}, tmp_path / "g.pth")
    with pytest.raises(FileFormatError, match="does not have: there is no recipe 'stylegan9'"):
        sample(tmp_path / "g.pth")
    torch.save(content | {"weights": {}}, tmp_path / "g.pth")
    with pytest.raises(FileFormatError, match="weights do not fit"):
        sample(tmp_path / "g.pth")


def test_a_slash_makes_a_folder_of_any_name(tmp_path: Path) -> None:
    assert output.target(f"{tmp_path}/my.samples/", overwrite=False).kind == "folder"
    assert output.target(f"{tmp_path}/pictures.png/", overwrite=False).kind == "folder"


def test_a_quoted_class_may_have_a_comma_in_its_name() -> None:
    assert names_in("3, 7") == ["3", "7"]
    assert names_in('"red, white",blue') == ["red, white", "blue"]
