"""Stages of a training: which weights move, and what real batches are made of."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training_steps import make_step, small

from gancli.functional.pixels import moved
from gancli.recipes.base import Spec, Stage
from gancli.recipes.latent import Latent
from gancli.steps import stages
from gancli.steps.batches import ResidentImages
from gancli.steps.step import Step

CPU = torch.device("cpu")
SPEC = Spec(3, 16, 16)


def made(**settings: Any) -> Step:
    """Three steps of the autoencoder, three of the GAN in latents, then those on pictures; batches of eight."""
    lengths = {"autoencoder_images": 24, "latent_images": 24} | settings
    tiny = Latent(width=16, network_width=16, channels=4, versions=2, **lengths)
    return make_step(tiny.fitted(SPEC, 40, 80), spec=SPEC)


def weights(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def moving(step: Step, count: int) -> set[str]:
    """The parts of G, D and the average that these steps change, as ``g.inner``."""
    networks = {"g": step.state.g, "d": step.state.d, "ema": step.state.ema}
    before = {name: weights(network) for name, network in networks.items()}
    for _ in range(count):
        step()
    return {
        f"{name}.{key.partition('.')[0]}"
        for name, network in networks.items()
        for key, value in network.state_dict().items()
        if not torch.equal(value, before[name][key])
    }


def test_each_stage_trains_its_parts_alone() -> None:
    step = made()
    assert moving(step, 3) == {"g.autoencoder", "ema.autoencoder"}
    assert moving(step, 1) == {"g.autoencoder", "d.encoder", "g.inner", "ema.inner", "d.inner"}, "it takes over first"
    assert moving(step, 2) == {"g.inner", "ema.inner", "d.inner"}
    assert step.stage_steps == 3
    assert moving(step, 1) == {"g.autoencoder", "g.inner", "ema.autoencoder", "d.judge", "d.inner", "ema.inner"}, (
        "G takes the average over"
    )
    encoder = weights(step.state.g.get_submodule("autoencoder.encoder"))
    assert moving(step, 2) == {"g.autoencoder", "g.inner", "ema.autoencoder", "ema.inner", "d.judge", "d.inner"}
    assert all(
        torch.equal(value, encoder[name])
        for name, value in step.state.g.get_submodule("autoencoder.encoder").state_dict().items()
    )


def test_a_stage_ends_where_the_next_begins_or_training_does() -> None:
    step = made()
    step()
    assert [step.stage_end(total) for total in (2, 3, 10)] == [2, 3, 3], "24 images in batches of 8"
    for _ in range(3):
        step()
    assert step.stage_end(10) == 6
    plain = make_step(small("vanilla"))
    plain()
    assert plain.stage_end(10) == 10


def test_a_state_saved_at_or_beyond_the_border_goes_on_bit_for_bit() -> None:
    for saved_at in (2, 3, 6, 7):
        step = made()
        for _ in range(saved_at):
            step()
        other = made()
        other.state.load_state_dict(copy.deepcopy(step.state.state_dict()))
        for _ in range(8 - saved_at):
            step(), other()
        for one, two in zip(weights(step.state.g).values(), weights(other.state.g).values(), strict=True):
            assert torch.equal(one, two), saved_at


def test_means_are_of_one_stage() -> None:
    step = made()
    for count in (1, 2, 3, 1, 2, 3, 1):
        step.state.running.add(step())
        assert list(step.state.running.counts.values()) == [count], step.stage.name


class Plain(nn.Module):
    """An encoder whose latents are the images."""

    def forward(self, images: Tensor) -> Tensor:
        return images


@pytest.mark.parametrize("mirror", [False, True])
def test_real_batches_are_all_versions_of_what_the_encoder_makes_of_images(mirror: bool) -> None:
    pixels = torch.randint(0, 256, (6, 1, 5, 5), dtype=torch.uint8)
    images = ResidentImages(pixels, torch.arange(6), 2, 0, mirror=mirror)
    made = stages.encoded(images, Plain(), Stage(versions=4, shift=1), CPU)
    floats = pixels.float() / 127.5 - 1
    first, second, third, _ = made.images.split(6)
    assert torch.equal(first, floats) and made.labels is not None and made.labels.tolist() == [*range(6)] * 4
    shifts = [torch.tensor([[down, right]]) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    for image, as_moved in zip(floats.flip(3) if mirror else floats, second, strict=True):
        assert any(torch.equal(moved(image[None], shift)[0], as_moved) for shift in shifts)
    assert not torch.equal(second, third) and not torch.equal(second, first)
    again = stages.encoded(replace(images), Plain(), Stage(versions=4, shift=1), CPU)
    assert torch.equal(made.images, again.images)
    assert not made.mirror and torch.equal(made.batch(0).images, made.images[made._order(0)[:2]])
