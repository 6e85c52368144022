"""Every recipe the fast way against the plain one with double backward, in float64, so that no shortcut changes it."""

from typing import Any

import pytest
import torch
from torch import Tensor
from training_steps import labelled, make_step, small

from gancli import recipes
from gancli.functional import layerwise
from gancli.recipes.base import Spec
from gancli.recipes.r3gan import R3GAN
from gancli.steps.step import Step

SPECS = {"grey": Spec(1, 8, 8, 4), "wide": Spec(3, 12, 20, 4), "four channels": Spec(4, 17, 11, 4)}
OPTIONS: dict[str, dict[str, Any]] = {"as it is": {}, "augmented": {"augmentation": "ada"}}
RESIDUAL = "r3gan, residual networks"


def step_of(name: str, spec: Spec, **options: Any) -> Step:
    """A small step of the recipe in float64."""
    recipe = R3GAN(network="residual", width=16) if name == RESIDUAL else small(name)
    return labelled(make_step(recipe.fitted(spec, 40, 1000), dtype=torch.float64, spec=spec, **options))


def run(step: Step) -> list[dict[str, Tensor]]:
    """What three steps say, and the weights that they end with."""
    said = [step() for _ in range(3)]
    return said + [getattr(step.state, network).state_dict() for network in ("g", "d", "ema")]


def assert_same(name: str, spec: Spec, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
    """What the fast way leaves is what the plain one does."""
    found = run(step_of(name, spec, **options))
    monkeypatch.setattr(layerwise, "may_be_piecewise_linear", lambda network: False)
    expected = run(step_of(name, spec, plain=True, **options))
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.keys() == theirs.keys()
        for key, value in theirs.items():
            torch.testing.assert_close(ours[key], value, rtol=1e-9, atol=1e-9, msg=key)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("name", [*recipes.names(), RESIDUAL])
def test_the_fast_way_is_the_plain_one(
    name: str, spec: Spec, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if options and not recipes.find(name.split(",")[0]).augmentable:
        pytest.skip("takes no augmentation")
    assert_same(name, spec, monkeypatch, **options)


@pytest.mark.parametrize("batch_size", [1, 5])
@pytest.mark.parametrize("name", ["vanilla", "dragan", "r3gan", RESIDUAL])
def test_batches_of_any_size(name: str, batch_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_same(name, SPECS["wide"], monkeypatch, batch_size=batch_size)
