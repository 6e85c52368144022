"""Image k of a seed is one picture, whatever else is asked for; targets are never overwritten unasked."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gancli import sample, sample_output, sampling
from gancli.api import TrainResult
from gancli.errors import FileFormatError, UsageError


def test_an_image_does_not_depend_on_number_or_batch(tiny_run: TrainResult) -> None:
    many = sample(tiny_run.generator, n=150)
    assert many.shape == (150, 1, 8, 8)
    assert many.dtype == torch.uint8
    for batch_size in (1, 7, 64, 500):
        assert torch.equal(sample(tiny_run.generator, n=40, batch_size=batch_size), many[:40])
    assert torch.equal(sample(tiny_run.generator, seeds="140-142,3"), many[[140, 141, 142, 3]])
    assert not torch.equal(sample(tiny_run.generator, n=40, seed=1), many[:40])


def test_the_runs_own_grid_shows_the_same_pictures(tiny_run: TrainResult, tmp_path: Path) -> None:
    target = sample_output.target(tmp_path / "grid.png", overwrite=False)
    sample_output.write(target, [sample(tiny_run.generator, n=64)], range(64))
    assert tiny_run.samples is not None
    assert target.path.read_bytes() == tiny_run.samples.read_bytes()


def test_each_kind_of_target_holds_the_pixels(tiny_run: TrainResult, tmp_path: Path) -> None:
    images = sample(tiny_run.generator, n=20)
    for name in ("a.npy", "folder", "one.png"):
        part = images[:1] if name == "one.png" else images
        sample_output.write(sample_output.target(tmp_path / name, False), [part], range(len(part)))
    array = np.load(tmp_path / "a.npy", allow_pickle=False)
    assert array.shape == (20, 8, 8, 1)
    assert array.dtype == np.uint8
    assert np.array_equal(array[7, :, :, 0], images[7, 0].numpy())
    singles = sorted((tmp_path / "folder").iterdir())
    assert [path.name for path in singles][:2] == ["000000.png", "000001.png"]
    assert np.array_equal(np.asarray(Image.open(singles[7])), images[7, 0].numpy())
    assert np.array_equal(np.asarray(Image.open(tmp_path / "one.png")), images[0, 0].numpy())


def test_nothing_is_overwritten_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_text("precious")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    for name in ("a.png", "full"):
        with pytest.raises(UsageError, match="exists already"):
            sample_output.target(tmp_path / name, overwrite=False)
    assert sample_output.target(tmp_path / "a.png", overwrite=True).kind == "grid"
    with pytest.raises(UsageError, match=r"cannot write \.jpg"):
        sample_output.target(tmp_path / "a.jpg", overwrite=False)
    monkeypatch.chdir(tmp_path)
    assert sample_output.target(None, False).path == Path("samples-0001.png")
    (tmp_path / "samples-0007.png").touch()
    assert sample_output.target(None, False).path == Path("samples-0008.png")


@pytest.mark.parametrize("text", ["", "a", "3-1", "1--2", "-1", "1,,2", "0-99999999999"])
def test_what_is_no_list_of_numbers_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--seeds"):
        sampling.parse_numbers(text)


def test_an_unconditional_generator_draws_no_class_on_demand(tiny_run: TrainResult) -> None:
    with pytest.raises(UsageError, match="leave --classes away"):
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
