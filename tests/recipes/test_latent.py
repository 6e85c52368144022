"""The recipe in two stages: its losses in closed form, its border, and a resume across it."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from sample_pictures import folder
from torch import nn

from gancli import train
from gancli.api import TrainResult
from gancli.cli import run
from gancli.errors import UsageError
from gancli.models.perceptual import rgb
from gancli.recipes.base import Batch, Rates, Spec
from gancli.recipes.latent import Latent

SPEC = Spec(3, 32, 32)
SMALL = {"width": 16, "network_width": 16, "channels": 4, "versions": 2, "adversarial": 0.0}


def fitted(**settings: Any) -> Latent:
    return Latent(**(SMALL | settings)).fitted(SPEC, 100, 10_000)


@pytest.fixture(scope="module")
def short_run(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    out = tmp_path_factory.mktemp("short")
    options: dict[str, Any] = {"data": str(pictures), "image_size": "32", "batch_size": 16, "threads": 1}
    return train(**options, recipe="latent", steps=1, hyperparameters=SMALL, out=str(out), progress="none")


class Linear(nn.Module):
    """D(x) = w x, whose gradient is w everywhere."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, images: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        return images.flatten(1) @ self.weight


def test_the_autoencoders_loss_is_the_mean_distance_without_noise_shift_and_features() -> None:
    recipe = fitted(noise=0.0, shift=0, perceptual=0.0)
    g, d = recipe.networks(SPEC)
    images = torch.rand(4, 3, 32, 32)
    loss = recipe.lone_loss(g.autoencoder, d, Batch(images), recipe.schedule(0))
    assert loss.terms.keys() == {"l1"}
    assert loss.terms["l1"].item() == pytest.approx((g.autoencoder(images) - images).abs().mean().item(), rel=1e-5)


def test_features_tell_pictures_apart_and_find_no_difference_in_the_same_one() -> None:
    recipe = fitted()
    perception = recipe.networks(SPEC)[1].judge.perception
    assert isinstance(perception, nn.Module) and not list(perception.state_dict()), "in no checkpoint"
    images = torch.rand(2, 3, 32, 32)
    assert perception(images, images).item() == 0
    assert perception(images.flip(2), images).item() > 0.1
    assert not rgb(torch.cat([images, torch.full_like(images[:, :1], -1)], 1)).any(), "transparent is the middle grey"


def test_ds_loss_in_closed_form() -> None:
    recipe, weight = fitted(latent_noise=0.0), torch.tensor([3.0, -4.0])
    real, fake = Batch(torch.tensor([[[[1.0, 2.0]]]])), Batch(torch.tensor([[[[2.0, 1.0]]]]))
    loss = recipe.d_loss(nn.Identity(), Linear(weight), real, fake, Rates(0, 0, 0, gamma=0.5))
    assert loss.terms["adv"].item() == pytest.approx(math.log1p(math.exp(-(-5 - 2))))
    assert loss.terms["r1"].item() == loss.terms["r2"].item() == pytest.approx(0.5 / 2 * 25)
    g_loss = recipe.g_loss(nn.Identity(), Linear(weight), real, fake, Rates(0, 0, 0))
    assert g_loss.terms["adv"].item() == pytest.approx(math.log1p(math.exp(-(2 + 5))))


def test_the_border_is_a_share_of_the_length_and_rates_begin_anew_there() -> None:
    recipe = fitted(autoencoder_lr=1e-3, g_lr=2e-4, lr_end=0.25, gamma=0.05, gamma_end=0.005)
    assert recipe.autoencoder_images == 1000
    assert [recipe.stage(seen).without_d for seen in (0, 999, 1000, 10_000)] == [True, True, False, False]
    first, before, after, end = (recipe.schedule(seen) for seen in (0, 999, 1000, 10_000))
    assert first.g_lr == 1e-3 and before.g_lr == pytest.approx(1e-3 / 25, rel=0.01)
    assert (after.g_lr, after.gamma) == (2e-4, 0.05)
    assert (end.g_lr, end.gamma) == pytest.approx((0.5e-4, 0.005))
    assert Latent().fitted(SPEC, 50_000, 10**9).autoencoder_images == 500_000


def test_the_gan_begins_with_the_averaged_autoencoder_in_all_three_networks() -> None:
    recipe = fitted()
    (g, d), (ema, _) = recipe.networks(SPEC), recipe.networks(SPEC)
    recipe.begin(recipe.stage(0), g, d, ema)
    assert not same(g.autoencoder, ema.autoencoder)
    recipe.begin(recipe.stage(1000), g, d, ema)
    assert same(g.autoencoder, ema.autoencoder) and same(d.encoder, ema.autoencoder.encoder)
    assert not same(g.inner, ema.inner)


def test_a_run_that_goes_on_from_another_keeps_its_autoencoder() -> None:
    recipe = Latent(adversarial=0.0).continued().fitted(SPEC, 100, 10_000)
    assert not recipe.stage(0).without_d and recipe.stage(0).begins == 0
    assert recipe.decay_images == 10_000 and recipe.schedule(0).gamma == pytest.approx(recipe.gamma)


def same(one: Any, other: Any) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(mine, theirs) for mine, theirs in pairs)


def test_few_pictures_are_encoded_eight_times_and_many_once() -> None:
    assert [Latent().fitted(SPEC, images, 10**6).versions for images in (100, 10_000, 50_000)] == [8, 6, 1]
    assert replace(fitted(), versions=3).fitted(SPEC, 10, 10).versions == 3


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders of pictures, which are their classes."""
    root = tmp_path_factory.mktemp("pictures")
    for name in ("first", "second"):
        folder(root / name, 40)
    return root


@pytest.mark.parametrize("network", ["convolutional", "transformer"])
def test_a_run_resumes_bit_for_bit_before_and_after_the_border(
    network: str, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = SMALL | {"network": network, "conditional": True, "autoencoder_images": 48}
    flags = [part for name, value in settings.items() for part in ("--set", f"{name}={value}".lower())]
    look = ["--data", str(pictures), "--labels", "folder", "--image-size", "32", "--mirror", "--recipe", "latent"]
    often = [
        "--steps",
        "6",
        "--log-every",
        "1",
        "--batch-size",
        "16",
        "--save-every",
        "1",
        "--keep",
        "9",
        "--sample-every",
        "3",
    ]
    assert run(["train", *look, *flags, *often, "--threads", "1", "--out", str(tmp_path / "a"), "--json"]) == 0
    told = capsys.readouterr()
    whole = Path(json.loads(told.out)["run"])
    assert "stage: autoencoder, from step 1" in told.err and "stage: GAN in its latents, from step 4" in told.err
    assert "autoencoder: held-out L1 0." in told.err
    for last in (2, 3, 4):
        half = tmp_path / f"b{last}" / whole.name
        shutil.copytree(whole, half)
        for step in range(last + 1, 7):
            (half / "checkpoints" / f"step-{step:06}.pt").unlink()
        assert run(["train", "--resume", str(half), "-q"]) == 0
        for file in ("gen.pth", "dis.pth"):
            assert (half / file).read_bytes() == (whole / file).read_bytes(), (last, file)
    lines = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert {"g/l1"} <= lines[0].keys() and "d/adv" not in lines[0]
    capsys.readouterr()
    onward = ["--init-from", str(whole), "--steps", "1", "--batch-size", "16", "--out", str(tmp_path / "c"), "-q"]
    assert run(["train", *look, *flags, *onward, "--json"]) == 0
    later = torch.load(Path(json.loads(capsys.readouterr().out)["run"]) / "gen.pth", weights_only=True)["weights"]
    earlier = torch.load(whole / "gen.pth", weights_only=True)["weights"]
    moved = {name for name, value in later.items() if not torch.equal(value, earlier[name])}
    assert moved and all(name.startswith("inner.") for name in moved), "the autoencoder is kept"
    assert run(["reconstruct", "--ckpt", str(whole / "gen.pth"), "--out", str(tmp_path / "pairs.png"), "-q"]) == 0
    drawn = ["sample", "--ckpt", str(whole / "gen.pth"), "--n", "2", "--classes", "second", "-q"]
    assert run([*drawn, "--out", str(tmp_path / "x.npy")]) == 0


def test_the_autoencoder_of_another_run_is_kept_as_it_is(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = {"data": str(pictures), "image_size": "32", "batch_size": 16, "threads": 1, "progress": "none"}
    first = train(**data, recipe="latent", steps=3, hyperparameters=SMALL, out=str(tmp_path / "a"))
    narrow = {name: value for name, value in SMALL.items() if name not in ("width", "channels")} | {"network_width": 8}
    options: dict[str, Any] = data | {"autoencoder": first.run, "save_every": 2, "out": str(tmp_path / "b")}
    second = train(**options, steps=4, hyperparameters=narrow)
    before, after = (
        torch.load(result.generator, weights_only=True)["weights"] for result in (first, second)
    )  # fmt: skip
    shared = [name for name in before if name.startswith("autoencoder.")]
    assert shared and all(torch.equal(before[name], after[name]) for name in shared)
    lines = [json.loads(line) for line in (second.run / "metrics.jsonl").read_text().splitlines()]
    assert "d/adv" in lines[0], "no stage comes before the GAN's"
    shutil.rmtree(first.run)
    again = tmp_path / "c" / second.run.name
    shutil.copytree(second.run, again)
    (again / "checkpoints" / "step-000004.pt").unlink()
    train(resume=again, progress="none")
    assert (again / "gen.pth").read_bytes() == second.generator.read_bytes(), "a resume needs the other run no more"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": "16"}, "is for pictures of 3 x 32 x 32 .* and these are 3 x 16 x 16"),
        ({"recipe": "dcgan"}, r"train in its latents \(latent\), not dcgan"),
        ({"hyperparameters": {"channels": 8}}, "channels=8: .*decides that"),
        ({"init_from": "runs/1"}, "brings an autoencoder too"),
    ],
    ids=["size", "recipe", "channels", "twice"],
)
def test_an_autoencoder_that_does_not_suit_is_refused(
    options: dict[str, Any], message: str, short_run: TrainResult, pictures: Path, tmp_path: Path
) -> None:
    given = {"data": str(pictures), "image_size": "32", "autoencoder": short_run.run, "out": str(tmp_path)}
    with pytest.raises(UsageError, match=message):
        train(**(given | options), steps=1, progress="none")
    assert not list(tmp_path.iterdir())


def test_only_a_recipe_with_an_autoencoder_has_one_to_share(tiny_run: TrainResult, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is of recipe r3gan, which trains none"):
        train(autoencoder=tiny_run.run, out=str(tmp_path), progress="none")
