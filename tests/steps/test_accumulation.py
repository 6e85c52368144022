"""A batch in parts against the whole: the same step for recipes that may take it so, a reason for the others."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn.modules.dropout import _DropoutNd
from training_steps import labelled, make_step, small

from gancli import recipes
from gancli.recipes.base import Spec
from gancli.steps import accumulation
from gancli.steps.accumulation import obstacle
from gancli.steps.step import Step, fastest_step

PICTURES, POINTS = Spec(1, 8, 8, 4), Spec(2, 1, 1, 4, 1.0)


def step_of(name: str, spec: Spec, parts: int, dtype: torch.dtype = torch.float64, **options: Any) -> Step:
    """Eight images in so many parts, the plain way; nothing is dropped, since each part would drop anew."""
    recipe = small(name).fitted(spec, 40, 1000)
    step = make_step(recipe, dtype=dtype, spec=spec, plain=True, accumulate=parts, **{"batch_size": 8} | options)
    for module in [*step.state.g.modules(), *step.state.d.modules()]:
        if isinstance(module, _DropoutNd):
            module.p = 0
    return labelled(step)


def weights(step: Step) -> list[torch.Tensor]:
    return [
        v.clone() for network in (step.state.g, step.state.d, step.state.ema) for v in network.state_dict().values()
    ]


def largest_difference(name: str, spec: Spec, parts: int, **options: Any) -> float:
    """Of weights, buffers and everything that is logged, after two steps."""
    whole, partly = (step_of(name, spec, count, **options) for count in (1, parts))
    scalars = [(a, b) for _ in range(2) for a, b in [(whole(), partly())]]
    pairs = [(a[key], b[key]) for a, b in scalars for key in a] + list(
        zip(weights(whole), weights(partly), strict=True)
    )
    assert all(list(a) == list(b) for a, b in scalars)
    return max((a.double() - b.double()).abs().max().item() for a, b in pairs)


def case_of(name: str, spec: Spec) -> str | None:
    if spec.is_points and not recipes.find(name).draws_points:
        pytest.skip("draws no points")
    step = step_of(name, spec, 1)
    return obstacle(step.setup.recipe, step.state.g, step.state.d)


@pytest.mark.parametrize("spec", [PICTURES, POINTS], ids=["pictures", "points"])
@pytest.mark.parametrize("name", recipes.names())
def test_parts_make_up_the_whole_or_there_is_an_obstacle(name: str, spec: Spec) -> None:
    reason = case_of(name, spec)
    if reason is None:
        assert largest_difference(name, spec, 2) < 1e-9
    elif recipes.find(name)().has_stages:  # its first steps are of a stage that takes whole batches
        assert largest_difference(name, spec, 4, dtype=torch.float32) == 0
    elif not spec.is_points:  # what is refused because of its pictures is refused for points too
        assert largest_difference(name, spec, 4, dtype=torch.float32) > 1e-4, reason


def test_some_of_all_kinds_may_be_taken_in_parts() -> None:
    free = {name for name in recipes.names() if case_of(name, PICTURES) is None}
    assert {"vanilla", "r3gan"} <= free and "dcgan" not in free


@pytest.mark.parametrize("options", [{"augmentation": "diffaug"}, {"augmentation": "ada"}])
def test_parts_are_augmented_as_the_whole(options: dict[str, Any]) -> None:
    assert largest_difference("r3gan", PICTURES, 2, **options) < 1e-9


def test_parts_of_unequal_size() -> None:
    step = step_of("vanilla", PICTURES, 3)
    assert step.setup.parts == [slice(0, 2), slice(2, 5), slice(5, 8)]
    assert largest_difference("vanilla", PICTURES, 3) < 1e-9


def test_no_more_than_a_part_is_ever_in_the_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    step = step_of("r3gan", PICTURES, 4)
    seen: list[int] = []
    for network in (step.state.g, step.state.d):
        usual = network.forward
        monkeypatch.setattr(network, "forward", lambda x, labels=None, f=usual: (seen.append(len(x)), f(x, labels))[1])
    step()
    assert max(seen) == 4, "two real and two generated images at once"


def test_layers_that_move_when_asked_move_with_the_first_part_alone() -> None:
    layer = torch.nn.utils.parametrizations.spectral_norm(torch.nn.Linear(3, 3))
    before = layer.parametrizations.weight[0]._u.clone()  # type: ignore[index, union-attr]
    with accumulation.settled(layer):
        assert torch.equal(before, (layer(torch.ones(1, 3)), layer.parametrizations.weight[0]._u)[1])  # type: ignore[index, union-attr]
    layer(torch.ones(1, 3))
    assert not torch.equal(before, layer.parametrizations.weight[0]._u)  # type: ignore[index, union-attr]


def test_the_faster_way_gives_way_to_parts() -> None:
    step = make_step(recipes.find("vanilla")())
    assert step.way.startswith("one pass")
    assert fastest_step(replace(step.setup, accumulate=2), step.state).way == "plain"
