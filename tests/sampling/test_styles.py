"""Styles of a generator with two halves: truncated, mixed, drawn again, exported, and the smoothness of W."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_generators import write_generator
from torch import Tensor, nn

from gancli import cli
from gancli.artifacts import network_file
from gancli.deploy.deployed import description
from gancli.deploy.model_files import content_of, runner
from gancli.deploy.proof_of_model import prove_model
from gancli.errors import UsageError
from gancli.evaluation.extractors.base import Extractor
from gancli.evaluation.metrics.smoothness import STEP
from gancli.evaluation.sources.latent_path import feature_path
from gancli.functional.pixels import to_pixels
from gancli.models.style_generator import Generator, channels_of
from gancli.randomness import generator as random_generator
from gancli.randomness import numbered_latents
from gancli.recipes.base import Spec
from gancli.sampling.generator import LoadedGenerator, draw, draw_mixed, load_generator
from gancli.sampling.styles import MEAN_OF, mean_styles, mixtures, truncated

SHAPE = (3, 8, 12)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator file of pictures with noise."""
    path = write_generator(tmp_path_factory.mktemp("styles") / "gen.pth", "stylegan2", Spec(3, 8, 8))
    file = network_file.load(path, "generator")
    weights = {name: value + 0.3 * name.endswith("strength") for name, value in file.weights.items()}
    network_file.save(path, replace(file, weights=weights))
    return path


@pytest.fixture(scope="module")
def loaded(path: Path) -> LoadedGenerator:
    return load_generator(path, CPU)


def test_image_7_is_image_7_in_any_batch_with_its_noise(loaded: LoadedGenerator) -> None:
    alone, several = (torch.cat([*draw(loaded, numbers)]) for numbers in ([7], range(70)))
    assert torch.equal(alone[0], several[7])
    silenced = numbered_latents(0, [7], loaded.latent_dim)
    silenced[:, 128:] = 0  # the latent is 128 values of z, then noise
    assert not torch.equal(to_pixels(loaded.network(silenced)), alone)


def test_truncation_moves_styles_to_the_mean_of_their_class() -> None:
    torch.manual_seed(0)
    g: Any = Generator(6, channels_of(SHAPE, 4, 8), SHAPE, classes=3).eval().requires_grad_(False)
    latents, labels = torch.randn(5, 30), torch.tensor([0, 2, 1, 2, 0])
    every = numbered_latents(0, range(MEAN_OF), 30)
    means = mean_styles(g, 30, range(3))
    for label in range(3):
        expected = g.mapping(every, torch.full((MEAN_OF,), label)).mean(0)
        torch.testing.assert_close(means[label], expected)
    full = g.mapping(latents, labels)
    shares = torch.tensor([0.7, 0.7, 1.0, 0.0, 0.2])
    moved = truncated(full, labels, means, shares)
    for row, (label, share) in enumerate(zip(labels.tolist(), shares.tolist(), strict=True)):
        torch.testing.assert_close(moved[row], means[label] + share * (full[row] - means[label]))
    assert torch.equal(moved[2], full[2])


def test_samples_are_truncated_in_styles_and_not_in_latents(loaded: LoadedGenerator) -> None:
    spreads = [torch.cat([*draw(loaded, range(16), truncation=share)]).float().std(0).mean() for share in (0.01, 0.7)]
    latents, network = numbered_latents(0, range(16), loaded.latent_dim), loaded.network
    mean = mean_styles(network, loaded.latent_dim, ())
    expected = network.synthesis(mean + 0.7 * (network.mapping(latents) - mean), latents)  # type: ignore[operator]
    assert spreads[0] < spreads[1]
    ours = torch.cat([*draw(loaded, range(16), truncation=0.7)])
    assert (ours.int() - to_pixels(expected).int()).abs().max() <= 1


def test_mixtures_take_more_and_more_of_the_second_from_the_end() -> None:
    a, b = torch.zeros(3, 2), torch.ones(3, 2)
    assert mixtures(torch.stack([a, b]))[:, :, 0].tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 1], [1, 1, 1]]


def test_mixed_pictures_begin_with_the_first_and_are_drawn_again(
    path: Path, loaded: LoadedGenerator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mixed = torch.cat([*draw_mixed(loaded, [3, 5])])
    assert len(mixed) == loaded.network.styles_per_image + 1  # type: ignore[operator]
    assert torch.equal(mixed[0], torch.cat([*draw(loaded, [3])])[0])
    latents = numbered_latents(0, [3, 5], loaded.latent_dim)
    last = loaded.network.synthesis(loaded.network.mapping(latents[1:]), latents[:1])  # type: ignore[operator]
    assert (mixed[-1].int() - to_pixels(last)[0].int()).abs().max() <= 1

    for name in ("row.png", "folder/"):
        assert cli.run(["sample", str(path), "--mix", "3:5", "--trunc", ".7", "--out", str(tmp_path / name), "-q"]) == 0
    capsys.readouterr()
    for picture in ("row.png", "folder/000004.png"):
        assert cli.run(["inspect", str(tmp_path / picture), "--ckpt", str(path), "--json"]) == 0
        told = json.loads(capsys.readouterr().out)["files"][0]
        assert told["proof"]["verdict"] == "same" and told["mark"]["mixed"], picture
    assert len(list((tmp_path / "folder").glob("*.png"))) == len(mixed)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--mix", "3"], "give the numbers of two images"),
        (["--mix", "3:5", "--seeds", "1"], "remove --seeds"),
        (["--mix", "3:5", "--interpolate", "4"], "remove --interpolate"),
    ],
)
def test_a_mix_that_makes_no_sense_is_refused(
    more: list[str], message: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["sample", str(path), *more, "-q"]) == 2
    assert message in capsys.readouterr().err


def test_a_generator_without_styles_mixes_none(tmp_path: Path) -> None:
    plain = load_generator(write_generator(tmp_path / "gen.pth", "vanilla", Spec(1, 8, 8)), CPU)
    with pytest.raises(UsageError, match="no styles to mix"):
        next(draw_mixed(plain, [3, 5]))


def test_an_exported_model_draws_the_same_noise(loaded: LoadedGenerator) -> None:
    content = content_of(".onnx", loaded, False, description(loaded, False, "fp32", "0" * 64))
    assert prove_model(runner(".onnx", content, loaded), loaded, False, "fp32").holds


class Flat(nn.Module):
    """The pixels as features."""

    def forward(self, images: Tensor) -> tuple[Tensor, None]:
        return images.flatten(1), None


def test_the_path_length_walks_in_styles_with_the_same_noise(loaded: LoadedGenerator) -> None:
    network: Any = loaded.network
    extractor = Extractor("flat", Flat(), None, "fd")
    path: Callable[..., tuple[Tensor, Tensor]] = feature_path(network, extractor, loaded.latent_dim, (), 4)
    start, end = path(5, 2)
    drawn = random_generator(4, "latent-path", 2)
    a, b = torch.randn(2, 5, loaded.latent_dim, generator=drawn)
    t = torch.rand(5, 1, 1, generator=drawn)
    for ours, place in ((start, t), (end, t + STEP)):
        styles = (1 - place) * network.mapping(a) + place * network.mapping(b)
        np.testing.assert_allclose(ours.numpy(), network.synthesis(styles, a).flatten(1).numpy(), atol=1e-4)
    assert not torch.equal(start, end)
