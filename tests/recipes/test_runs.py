"""Every recipe from the command line: it trains, resumes bit for bit, samples and is evaluated."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sample_pictures import folder

from gancli import recipes, train
from gancli.artifacts import network_file
from gancli.cli import run

SMALL = {
    name: [f"width={width}"]
    for name, width in {
        "dcgan": 8, "lsgan": 8, "wgan": 8, "wgan-gp": 8, "dragan": 8, "sngan": 4, "projection": 4, "acgan": 8,
        "improved": 8, "pacgan": 8, "unrolled": 8, "began": 4, "progressive": 4, "fastgan": 4, "vaegan": 8,
        "projected": 4, "stylegan2": 4,
    }.items()
} | {
    "ddgan": ["width=4", "d_width=4", "diffusion_steps=2"],
    "autoencoder": ["width=16", "channels=4", "d_width=4", "latent_dim=9"],
    "vanilla, switches": ["lecam=0.3", "san=true", "distillation=1"],
}  # fmt: skip
"""Settings that make the networks small."""
SMALL_BATCH = {"projected": "4"}
"""Images of a batch where D sees 64 x 64 pixels however small the pictures are."""


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run([*arguments, "--json", "-q"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("name", [*recipes.names(), "vanilla, switches"])
def test_a_run_resumes_exactly_samples_and_is_evaluated(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = [part for setting in SMALL.get(name, ()) for part in ("--set", setting)]
    name = name.partition(",")[0]
    batch = SMALL_BATCH.get(name, "16")
    common = ["--steps", "4", "--batch-size", batch, "--save-every", "2", "--sample-every", "0", "--threads", "1"]
    whole = Path(command(capsys, "train", "--recipe", name, *settings, *common, "--out", str(tmp_path / "a"))["run"])
    half = tmp_path / "b" / whole.name
    shutil.copytree(whole, half)
    for path in (half / "checkpoints" / "step-000004.pt", half / "gen.pth", half / "dis.pth"):
        path.unlink()
    command(capsys, "train", "--resume", str(half))
    for file in ("gen.pth", "dis.pth"):
        assert (half / file).read_bytes() == (whole / file).read_bytes(), file

    drawn = command(capsys, "sample", "--ckpt", str(whole / "gen.pth"), "--n", "6", "--out", str(tmp_path / "x.npy"))
    assert drawn["n"] == 6
    report = command(capsys, "eval", "--ckpt", str(whole / "gen.pth"), "--n", "32")
    assert {"fd", "coverage", "modes"} <= {figure["metric"] for figure in report["figures"]}
    assert len(report["per_class"]) == (10 if recipes.find(name).conditional else 0)


@pytest.fixture(scope="module")
def transparent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wide pictures with an alpha channel, in two folders that are their classes."""
    root = tmp_path_factory.mktemp("transparent")
    for name in ("first", "second"):
        folder(root / name, 20, channels=4)
    return root


@pytest.mark.parametrize("name", recipes.names())
def test_wide_pictures_with_alpha_train_and_are_drawn(
    name: str, transparent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = [part for setting in SMALL.get(name, ()) for part in ("--set", setting)]
    look = ["--labels", "folder", "--color", "rgba", "--alpha", "keep", "--image-size", "8x12"]
    batch = SMALL_BATCH.get(name, "8")
    common = ["--steps", "2", "--batch-size", batch, "--eval-every", "0", "--threads", "1", "--out", str(tmp_path)]
    made = command(capsys, "train", "--recipe", name, "--data", str(transparent), *look, *settings, *common)
    command(capsys, "sample", "--ckpt", made["generator"], "--n", "3", "--out", str(tmp_path / "x.npy"))
    drawn = np.load(tmp_path / "x.npy")
    assert drawn.shape == (3, 8, 12, 4) and drawn.dtype == np.uint8


def test_a_conditional_generator_draws_the_classes_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = train(recipe="cgan", steps=2, batch_size=16, out=str(tmp_path), progress="none", threads=1)
    one, two = tmp_path / "one.npy", tmp_path / "two.npy"
    for path, classes in ((one, "3,7"), (two, "7")):
        command(capsys, "sample", "--ckpt", str(made.generator), "--n", "4", "--classes", classes, "--out", str(path))
    threes, sevens = np.load(one), np.load(two)
    assert (threes[1] == sevens[1]).all(), "image 1 is a seven in both"
    assert (threes[0] != sevens[0]).any()
    assert run(["sample", "--ckpt", str(made.generator), "--classes", "eleven"]) == 2
    assert "no class 'eleven'" in capsys.readouterr().err


def test_points_train_sample_and_count_modes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["--steps", "20", "--threads", "1", "--eval-every", "10", "--out", str(tmp_path)]
    result = command(capsys, "train", "--data", "ring", *common)
    assert result["metrics"]["eval/modes_ring"] >= 1
    target = tmp_path / "points.npy"
    command(capsys, "sample", "--ckpt", result["generator"], "--n", "7", "--out", str(target))
    assert np.load(target).shape == (7, 2)
    command(capsys, "sample", "--ckpt", result["generator"], "--n", "7", "--out", str(tmp_path / "points.png"))
    assert run(["sample", "--ckpt", result["generator"], "--out", str(tmp_path / "folder")]) == 2
    assert "points go into one .npy" in capsys.readouterr().err
    assert not (tmp_path / "folder").exists()
    report = command(capsys, "eval", "--ckpt", result["generator"])
    assert {figure["metric"]: figure["n"] for figure in report["figures"]} == {
        "reverse_kl": 2500, "modes": 2500, "high_quality": 2500,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "ring", "--recipe", "fastgan"], "draws pictures, and ring has points"),
        (["--data", "grid", "--augment", "ada"], "makes no sense for grid"),
        (["--recipe", "vaegan", "--augment", "diffaug"], "makes no sense for recipe vaegan"),
        (["--data", "ring", "--image-size", "8"], "ring has points, not images"),
        (["--data", "ring", "--recipe", "dcgan", "--set", "width=8"], "recipe dcgan: width=8 has no effect on ring"),
        (["--data", "ring", "--recipe", "unrolled", "--set", "width=8"], "width=8 has no effect on ring"),
        (["--data", "grid", "--recipe", "vanilla", "--mirror"], "--mirror flips pictures, and grid has points"),
        (["--freeze-d", "2"], "--init-from"),
        (["--top-k", "0"], "--top-k 0.0 must be more than 0"),
        (["--recipe", "wgan", "--set", "clip=0"], "clip=0.0 must be at least"),
        (["--recipe", "fastgan", "--set", "smoothing=1"], "smoothing=1.0 must be"),
        (["--recipe", "began", "--set", "san=true"], "recipe began: san: D does not end in one linear layer"),
        (["--recipe", "improved", "--set", "real_target=1.1"], "real_target=1.1 must be at least 0.5 and at most 1"),
        (["--recipe", "lsgan", "--set", "a=1"], "D has nothing to tell"),
        (["--recipe", "pacgan", "--set", "pack=3000"], "D judges 3000 images together"),
        (["--recipe", "r3gan", "--set", "width=32"], "recipe r3gan: width=32: perceptrons draw these data"),
        (["--recipe", "vanilla", "--set", "d_steps=3"], "both networks step at once"),
        (["--recipe", "pacgan", "--set", "pack=0"], "at least 1"),
        (["--recipe", "pacgan", "--set", "pack=3", "--batch-size", "128"], "D judges 3 images together"),
        (["--set", "d_lr=-1"], "d_lr=-1.0 must be at least 0"),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", *arguments, "--out", str(tmp_path / "runs"), "-q"]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_fine_tuning_keeps_the_frozen_layers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["--recipe", "dcgan", "--set", "width=8", "--batch-size", "16", "--threads", "1", "--out", str(tmp_path)]
    first = command(capsys, "train", *common, "--steps", "3")
    tuned = command(
        capsys, "train", *common, "--steps", "2", "--init-from", first["run"], "--freeze-d", "1", "--augment", "ada",
        "--top-k", "0.5", "--seed", "1",
    )  # fmt: skip
    before, after = (network_file.load(Path(r["discriminator"]), "discriminator").weights for r in (first, tuned))
    assert torch.equal(before["layers.0.weight"], after["layers.0.weight"])
    assert not torch.equal(before["layers.2.weight"], after["layers.2.weight"])
    assert run(["train", *common, "--init-from", first["run"], "--freeze-d", "9", "-q"]) == 2
    assert "at least one must be left to train" in capsys.readouterr().err
    assert run(["train", "--recipe", "vanilla", "--init-from", first["run"], "--out", str(tmp_path), "-q"]) == 2
    assert "none of the 3 layers of G fits; with --recipe dcgan --set width=8 all would fit" in capsys.readouterr().err


def test_networks_that_grow_stay_grown_when_fine_tuned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["--recipe", "progressive", "--set", "width=4", "--threads", "1", "--batch-size", "16", "-q"]
    common += ["--out", str(tmp_path), "--steps", "2"]
    runs = [command(capsys, "train", *common)]
    runs.append(command(capsys, "train", *common, "--init-from", runs[0]["run"]))
    runs.append(command(capsys, "train", *common, "--init-from", runs[0]["run"], "--set", "images_per_phase=400"))
    files = [network_file.load(Path(r["generator"]), "generator") for r in runs]
    assert [file.origin.hyperparameters["images_per_phase"] for file in files] == [8, 8, 400]
    assert [file.origin.hyperparameters["grown"] for file in files] == [False, True, False]


def test_a_run_says_that_d_is_not_told_the_timestep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--recipe", "vanilla", "--augment", "diffusion", "--steps", "1", "--eval-every", "0", "--threads", "1"]
    assert run(["train", *flags, "--sample-every", "0", "--out", str(tmp_path)]) == 0
    assert "augment diffusion (D does not see the timestep)" in capsys.readouterr().err


def test_the_listing_has_year_paper_and_weights(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recipes", "--json", "--image-size", "16", "--channels", "1"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert set(listed) == set(recipes.names())
    assert listed["dcgan"]["year"] == 2016 and listed["r3gan"]["year"] == 2024
    for name, facts in listed.items():
        recipe = recipes.find(name)().fitted(recipes.Spec(1, 16, 16, 10), 50_000, 1_000_000)
        g, d = recipe.networks(recipes.Spec(1, 16, 16, 10))
        assert facts["parameters_g"] == sum(p.numel() for p in g.parameters()), name
        assert facts["parameters_d"] == sum(p.numel() for p in d.parameters()), name
        assert "arXiv:" in facts["paper"] and 2013 < facts["year"] < 2027
    assert run(["recipes"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in recipes.names())
    assert max(map(len, out.splitlines())) <= 80
