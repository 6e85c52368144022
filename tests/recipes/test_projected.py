"""Projected GAN: its frozen parts stay as they are, and figures say what its discriminator trained on."""

import copy

import pytest
import torch
from training_steps import make_step

from gancli import data
from gancli.evaluation.sources.choose_evaluator import AUTO, ExtractorChoice, unseen
from gancli.models.projected import FUSED, Discriminator
from gancli.recipes.base import Spec
from gancli.recipes.projected import Projected

SPEC = Spec(3, 64, 64)


def discriminator(spec: Spec = SPEC, **hyperparameters: int) -> Discriminator:
    torch.manual_seed(0)
    _, d = Projected(width=4, **hyperparameters).networks(spec)
    assert isinstance(d, Discriminator)
    return d


def test_at_224_pixels_the_heads_are_the_released_ones() -> None:
    heads = [[layer.weight.shape[:2] for layer in head.layers if hasattr(layer, "parametrizations")]
             for head in discriminator(feature_size=224).heads]  # fmt: skip
    assert heads == [
        [(64, 64), (128, 64), (256, 128), (512, 256), (1, 512)],
        [(128, 64), (256, 128), (512, 256), (1, 512)],
        [(256, 128), (512, 256), (1, 512)],
        [(512, 256), (1, 512)],
    ]


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 64), (80, 50), (100, 130)])
def test_projections_double_each_level(height: int, width: int) -> None:
    d = discriminator(Spec(3, height, width))
    maps = d.projections(torch.zeros(1, 3, height, width))
    assert [each.shape[1] for each in maps] == list(FUSED)
    scale = max(1.0, 64 / min(height, width))
    for each, reduction in zip(maps, (2, 4, 8, 16), strict=True):
        assert each.shape[2] == pytest.approx(height * scale / reduction, abs=2)


def test_random_projections_are_saved_and_never_trained_and_features_are_not_saved() -> None:
    step = make_step(Projected(width=4), spec=Spec(3, 16, 16), batch_size=2)
    before = copy.deepcopy(step.state.d.state_dict())
    step()
    after = step.state.d.state_dict()
    frozen = {name for name in after if "over_" in name}
    assert len(frozen) == 16
    assert all(torch.equal(before[name], after[name]) for name in frozen)
    assert any(not torch.equal(before[name], after[name]) for name in after.keys() - frozen)
    assert not any("network" in name for name in after)


def test_what_is_transparent_takes_the_colour_of_the_ground() -> None:
    d = discriminator(Spec(4, 64, 64))
    clear = torch.full((2, 4, 8, 8), -1.0)
    clear[1, 3] = 1.0
    shown = d._opaque(clear)
    assert torch.equal(shown[1], clear[1, :3])
    assert shown[0].std((1, 2)).max() < 1e-6 and not torch.equal(shown[0], clear[0, :3])


def test_latents_are_brought_onto_the_sphere() -> None:
    torch.manual_seed(0)
    g, _ = Projected(width=4).networks(SPEC)
    z = torch.randn(4, 256)
    torch.testing.assert_close(g.eval()(z), g(3 * z), rtol=1e-3, atol=1e-4)


def test_it_is_not_judged_by_its_own_features_unless_they_are_asked_for() -> None:
    digits = data.load("digits")
    assert unseen(AUTO, "lite0", digits) == AUTO, "a classifier of labels is not what it trained on"
    plain = digits.__class__(**{**digits.__dict__, "classes": ()})
    assert unseen(AUTO, None, plain) == AUTO
    assert unseen(AUTO, Projected.features, plain).name == "random"
    assert unseen(ExtractorChoice("lite0"), "lite0", plain).name == "lite0"
