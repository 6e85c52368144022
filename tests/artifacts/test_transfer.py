"""Weights go from one network to another by layer, and those of classes by name."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from gancli import recipes
from gancli.artifacts.condition_scales import convert
from gancli.artifacts.transfer import Weights, label_axes, longest_common, take
from gancli.data.conditions import conditions_of
from gancli.recipes.base import Recipe, Spec

SMALL = Spec(1, 8, 8, 3)
CONDITIONAL: dict[str, dict[str, Any]] = {
    "acgan": {"width": 4},
    "cgan": {},
    "projection": {"width": 4},
    "ddgan": {"conditional": True, "width": 4, "d_width": 4},
    "latent": {"conditional": True, "width": 8, "perceptual": 0.0, "network_width": 8},
}
BY_CONDITIONS: dict[str, dict[str, Any]] = {
    "cgan": {},
    "projection": {"width": 4},
    "stylegan2": {"conditional": True, "width": 4, "max_width": 8, "latent_dim": 8},
}
BEFORE, AFTER = ("ant", "bee", "cat"), ("cat", "ant", "bee")


def moved(recipe: Recipe, before: tuple[str, ...], after: tuple[str, ...]) -> list[tuple[Any, Any]]:
    """G and D of classes ``before``, each with one of ``after`` that took its weights."""
    specs = [replace(SMALL, classes=len(names)) for names in (before, after)]
    axes = [label_axes(recipe, spec) for spec in specs]
    pairs = list(zip(*(recipe.networks(spec) for spec in specs), strict=True))
    for place, (old, new) in enumerate(pairs):
        theirs = Weights(old.state_dict(), before, axes[0][place])
        assert take(Weights(new.state_dict(), after, axes[1][place]), theirs, "network").is_whole
    return [(old.eval(), new.eval()) for old, new in pairs]


@pytest.mark.parametrize("name", CONDITIONAL)
def test_a_class_keeps_its_images_and_logits_wherever_it_stands(name: str) -> None:
    recipe = recipes.find(name)(**CONDITIONAL[name])
    (old_g, new_g), (old_d, new_d) = moved(recipe, BEFORE, AFTER)
    latents = torch.randn(3, recipe.latent_values(SMALL))
    old, new = torch.arange(3), torch.tensor([AFTER.index(each) for each in BEFORE])
    images = old_g(latents, old)
    assert torch.allclose(new_g(latents, new), images, atol=1e-6)
    if name != "latent":  # whose D sees latents
        assert torch.allclose(new_d(images, new), old_d(images, old), atol=1e-6)
    if name == "acgan":
        assert torch.allclose(
            new_d.logits_and_classes(images)[1][:, new], old_d.logits_and_classes(images)[1], atol=1e-6
        )


@pytest.mark.parametrize("name", BY_CONDITIONS)
def test_a_condition_keeps_its_effect_wherever_it_stands(name: str) -> None:
    spec = Spec(1, 8, 8, conditions=2)
    recipe = recipes.find(name)(**BY_CONDITIONS[name])
    old_networks, new_networks, axes = recipe.networks(spec), recipe.networks(spec), label_axes(recipe, spec)
    labels, latents = torch.randn(4, 2), torch.randn(4, recipe.latent_values(spec))
    images = torch.randn(4, 1, 8, 8)
    for old, new, axis, inputs in zip(old_networks, new_networks, axes, (latents, images), strict=True):
        for key, value in old.named_parameters():
            if key.endswith(("gain.weight", "bias.weight")):  # new norms ignore the condition
                torch.nn.init.normal_(value)
        theirs = Weights(old.state_dict(), ("age", "smile"), axis)
        assert take(Weights(new.state_dict(), ("smile", "age"), axis), theirs, "network").is_whole
        assert torch.allclose(new.eval()(inputs, labels.flip(1)), old.eval()(inputs, labels), atol=1e-5)
        assert not torch.allclose(new(inputs, labels), old(inputs, labels), atol=1e-5)


@pytest.mark.parametrize("name", BY_CONDITIONS)
def test_thirty_years_mean_the_same_after_the_transfer(name: str) -> None:
    """The old and the new network draw the same for the same age, each by its own mean and deviation."""
    torch.manual_seed(0)
    spec, recipe = Spec(1, 8, 8, conditions=2), recipes.find(name)(**BY_CONDITIONS[name])
    people = torch.tensor([[30.0, 0.1], [60.0, 0.9], [45.0, 0.4], [20.0, 0.2]]).double()
    old_scales = conditions_of(("age", "smile"), people)
    new_scales = conditions_of(("smile", "age"), people.flip(1) * torch.tensor([0.5, 2.0]) + torch.tensor([3.0, 5.0]))
    assert old_scales is not None and new_scales is not None
    old_networks, new_networks, axes = recipe.networks(spec), recipe.networks(spec), label_axes(recipe, spec)
    latents, images = torch.randn(4, recipe.latent_values(spec)), torch.randn(4, 1, 8, 8)
    for old, new, axis, inputs in zip(old_networks, new_networks, axes, (latents, images), strict=True):
        for key, value in old.named_parameters():
            if key.endswith(("gain.weight", "bias.weight", "bias")):  # new norms ignore the condition
                torch.nn.init.normal_(value)
        theirs = Weights(old.state_dict(), ("age", "smile"), axis)
        taken = take(Weights(new.state_dict(), ("smile", "age"), axis), theirs, "network")
        convert(new, taken.names & axis.keys(), new_scales, old_scales)
        wanted = old.eval()(inputs, old_scales.standardised(people))
        if not any("parametrizations" in each for each in axis):  # a spectral norm keeps the slope but for a factor
            assert torch.allclose(new.eval()(inputs, new_scales.standardised(people.flip(1))), wanted, atol=1e-4)
        else:
            mean = torch.tensor([new_scales.means]).double()
            before = old(inputs, old_scales.standardised(mean.flip(1)).expand(4, 2))
            assert torch.allclose(new.eval()(inputs, torch.zeros(4, 2)), before, atol=1e-4)


def test_a_new_class_begins_anew_and_the_others_stay() -> None:
    recipe = recipes.find("acgan")(width=4)
    spec = replace(SMALL, classes=4)
    (g, d), (old_g, old_d) = recipe.networks(spec), recipe.networks(SMALL)
    own = g.project.weight[:, -1].clone()
    axes, old_axes = label_axes(recipe, spec), label_axes(recipe, SMALL)
    take(Weights(g.state_dict(), (*AFTER, "dog"), axes[0]), Weights(old_g.state_dict(), BEFORE, old_axes[0]), "G")
    take(Weights(d.state_dict(), (*AFTER, "dog"), axes[1]), Weights(old_d.state_dict(), BEFORE, old_axes[1]), "D")
    assert torch.equal(g.project.weight[:, -1], own)
    latents, labels = torch.randn(3, recipe.latent_dim), torch.tensor([AFTER.index(each) for each in BEFORE])
    assert torch.allclose(g.eval()(latents, labels), old_g.eval()(latents, torch.arange(3)), atol=1e-6)
    assert torch.equal(d.classes.bias[1], old_d.classes.bias[0])


def test_a_larger_generator_takes_the_layers_next_to_the_image() -> None:
    """At 16 pixels DCGAN has the last two of the three stages that it has at 32."""
    recipe = recipes.find("dcgan")(width=4)
    (new, _), (old, _) = (recipe.networks(Spec(1, size, size)) for size in (32, 16))
    taken = take(Weights(new.state_dict()), Weights(old.state_dict()), "generator")
    assert (taken.layers, taken.total) == (4, 7)
    for mine, other in ((2, 0), (5, 2), (6, 3), (8, 5)):
        mine += mine == 2  # its norm comes after a transposed convolution
        assert torch.equal(new.layers[mine].weight, old.layers[other].weight)


def test_a_conditional_generator_takes_what_an_unconditional_one_knows() -> None:
    old, _ = recipes.find("dcgan")(width=4).networks(SMALL)
    recipe = recipes.find("acgan")(width=4)
    new, _ = recipe.networks(SMALL)
    taken = take(Weights(new.state_dict(), BEFORE, label_axes(recipe, SMALL)[0]), Weights(old.state_dict()), "G")
    assert taken.is_whole
    assert torch.equal(new.project.weight[:, : recipe.latent_dim], old.project.weight)


@pytest.mark.parametrize(
    ("ours", "theirs", "pairs"),
    [
        ("abc", "abc", [(0, 0), (1, 1), (2, 2)]),
        ("xabyc", "abc", [(1, 0), (2, 1), (4, 2)]),
        ("abbbc", "abbc", [(0, 0), (1, 1), (2, 2), (4, 3)]),
        ("abc", "xyz", []),
    ],
)
def test_layers_are_matched_in_order(ours: str, theirs: str, pairs: list[tuple[int, int]]) -> None:
    assert longest_common(ours, theirs) == pairs
