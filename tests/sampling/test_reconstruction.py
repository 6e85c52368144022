"""Images through an encoder and back, from the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_generators import write_generator

from gancli import data, reconstruct, train
from gancli.cli import run
from gancli.config.sample_command import Reconstructing
from gancli.evaluation.paired import psnr, squared_errors, ssim
from gancli.recipes.base import Spec
from gancli.runs import reconstruct as reconstructing
from gancli.runs.reconstruct import Closeness, closeness, reconstructed
from gancli.sampling.generator import LoadedGenerator
from gancli.sampling.reconstruction import beside


def test_each_row_of_images_is_above_its_reconstructions() -> None:
    images = torch.arange(5, dtype=torch.uint8).view(5, 1, 1, 1).expand(5, 1, 64, 64)
    middles = beside(images, images + 100, columns=3)[0, 34::66, 34::66]
    assert middles.tolist() == [[0, 1, 2], [100, 101, 102], [3, 4, 128], [103, 104, 128]]


def test_a_trained_encoder_gives_back_what_it_is_shown(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closer than the mean image, which is the best answer that ignores what is shown."""
    chosen = {"width": 8, "ema_half_life": 0.0, "g_lr": 1e-3, "d_lr": 1e-3}
    trained = train(recipe="vaegan", steps=400, hyperparameters=chosen, out=str(tmp_path), progress="none", threads=1)
    target = tmp_path / "again.npy"
    assert run(["reconstruct", "--ckpt", str(trained.generator), "--out", str(target), "-q", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["n"] == 64 and np.load(target).shape == (64, 8, 8, 1)
    shown = data.load("digits").heldout.images
    assert answer["measured"] == len(shown) > 64
    assert answer["rmse"] < 0.95 * (shown.float() - shown.float().mean(0)).square().mean().sqrt()
    everything, again = reconstruct(trained.generator, n=len(shown))
    assert answer["psnr"] == pytest.approx(psnr(squared_errors(everything, again).mean().item()), abs=0.01)
    assert answer["ssim"] == pytest.approx(ssim(everything, again).mean().item(), abs=1e-4)
    assert answer["fd"] > 0 and answer["extractor"]
    pairs = tmp_path / "pairs.png"
    assert run(["reconstruct", "--ckpt", str(trained.generator), "--n", "8", "--out", str(pairs), "-q"]) == 0
    assert Image.open(pairs).size == (8 * 66 + 2, 2 * 66 + 2)
    tiny = Closeness(64, 1.0, 48.1, 0.9, 0.00023312, "randconv")  # as distances of random convolutions are
    monkeypatch.setattr("gancli.runs.reconstruct.closeness", lambda made: tiny)
    capsys.readouterr()
    flags = ["--n", "8", "--out", str(pairs), "--overwrite", "-q", "--json"]
    assert run(["reconstruct", "--ckpt", str(trained.generator), *flags]) == 0
    assert json.loads(capsys.readouterr().out)["fd"] == 0.0002331


def test_no_image_is_reconstructed_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ckpt = write_generator(tmp_path / "gen.pth", "vaegan", Spec(1, 8, 8), width=4)
    drawn: list[torch.Tensor] = []

    def noted(generator: LoadedGenerator, images: torch.Tensor) -> torch.Tensor:
        drawn.append(images)
        return images + 3 * (images < 128)

    monkeypatch.setattr(reconstructing, "reconstruct", noted)
    monkeypatch.setattr(reconstructing, "_frechet_distance", lambda made, rebuilt: (float(len(rebuilt)), None))
    near = closeness(reconstructed(Reconstructing(ckpt, n=8)))
    shown = data.load("digits").heldout.images
    assert torch.equal(torch.cat(drawn), shown) and near.images == near.fd == len(shown)
    assert near.rmse == pytest.approx(3 * (shown < 128).double().mean().sqrt().item())


def test_a_generator_without_an_encoder_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    trained = train(recipe="vanilla", steps=1, out=str(tmp_path), progress="none", threads=1)
    assert run(["reconstruct", "--ckpt", str(trained.generator), "--out", str(tmp_path / "x.png")]) == 2
    error = capsys.readouterr().err
    assert "no encoder" in error and "vaegan" in error and not (tmp_path / "x.png").exists()
