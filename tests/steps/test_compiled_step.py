"""The whole step as one trace against the plain step; the compiler, which tests of `compiling` call, is left out."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._inductor.fx_passes import post_grad
from training_steps import change, labelled, make_step, small, tensors

from gancli import recipes
from gancli.recipes.base import Spec
from gancli.recipes.dcgan import DCGAN
from gancli.recipes.r3gan import R3GAN
from gancli.recipes.vanilla import Vanilla
from gancli.steps import traces
from gancli.steps.compiled_step import CompiledStep
from gancli.steps.freezing import freeze_lowest
from gancli.steps.step import Step

WIDE, POINTS = Spec(3, 9, 14, 4), Spec(2, 1, 1, 0, 1.0)
DRAWS_IN_ORDER = traces.draws_in_order
QUICK = {"vanilla", "r3gan", "dcgan"}
OTHERS = {"wgan": "steps by RMSprop", "progressive": "grows", "unrolled": "looks into D's Adam"}
TRACED = [name for name in recipes.names() if name not in OTHERS]
NAMES = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in TRACED]


@pytest.fixture(autouse=True)
def without_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "compiled_by_torch", lambda traced: traced)
    monkeypatch.setattr(traces, "draws_in_order", lambda traced: True)


def of_recipe(name: str, spec: Spec = WIDE, **options: Any) -> Step:
    """A small step in float64, with dropout where the recipe has it."""
    return labelled(make_step(small(name).fitted(spec, 40, 200), dtype=torch.float64, spec=spec, **options))


def assert_same(ours: Step, theirs: Step, steps: int, tolerance: float = 1e-9) -> None:
    for _ in range(steps):
        found, expected = ours(), theirs()
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=tolerance, atol=tolerance, msg=name)
    for network in ("g", "d", "ema"):
        for a, b in zip(*(tensors(getattr(step.state, network)) for step in (ours, theirs)), strict=True):
            torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance, msg=network)
    for a, b in zip(ours.state.g.parameters(), theirs.state.g.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=tolerance, atol=tolerance)
    assert torch.equal(ours.state.feedback, theirs.state.feedback)


@pytest.mark.parametrize("name", NAMES)
def test_a_trace_goes_on_as_the_plain_step_does(name: str) -> None:
    """Six steps, through which rates, gamma and the decay of the average change."""
    ours, theirs = of_recipe(name, compiled=True), of_recipe(name, plain=True)
    assert ours.way.endswith("compiled as a whole")
    assert_same(ours, theirs, 6)
    assert isinstance(ours.update, CompiledStep) and ours.update.function is not None


@pytest.mark.parametrize(
    ("recipe", "spec"),
    [
        (R3GAN().fitted(POINTS, 40, 200), POINTS),
        (Vanilla(r1_gamma=0.2), Spec(4, 5, 7)),
        (DCGAN(width=4, d_steps=2), WIDE),
        (Vanilla(lecam=0.3, san=True, distillation=1.0), WIDE),
        (R3GAN(network="residual", width=16).fitted(WIDE, 40, 200), WIDE),
    ],
    ids=["points", "penalty", "two steps of D", "switches", "residual networks"],
)
def test_points_penalties_and_several_steps_of_d(recipe: Any, spec: Spec) -> None:
    both = [make_step(recipe, dtype=torch.float64, spec=spec, **way) for way in ({"compiled": True}, {"plain": True})]
    assert_same(*both, 5)


@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("recipe", [R3GAN().fitted(WIDE, 40, 200), Vanilla(r1_gamma=0.2)], ids=["r3gan", "vanilla"])
def test_batches_of_any_size(recipe: Any, batch_size: int) -> None:
    both = [
        make_step(recipe, dtype=torch.float64, spec=WIDE, batch_size=batch_size, **way)
        for way in ({"compiled": True}, {"plain": True})
    ]
    assert_same(*both, 4)


def test_layers_of_d_that_are_frozen_stay_as_they_are() -> None:
    both = []
    for way in ({"compiled": True}, {"plain": True}):
        made = of_recipe("vanilla", **way)
        freeze_lowest(made.setup.recipe, WIDE, made.state.d, 1, 8)
        both.append(made)
    first = tensors(both[0].state.d)
    assert_same(both[0], both[1], 4)
    same = [torch.equal(a, b) for a, b in zip(first, tensors(both[0].state.d), strict=True)]
    assert same == [True, True, *[False] * (len(same) - 2)]


def test_a_trace_follows_the_strength_of_the_augmentation() -> None:
    ours, theirs = (of_recipe("vanilla", augmentation="ada", **way) for way in ({"compiled": True}, {"plain": True}))
    assert_same(ours, theirs, 4)
    for step in (ours, theirs):
        step.state.feedback[0] = 0.8
    assert_same(ours, theirs, 2)
    unaugmented = of_recipe("vanilla", compiled=True)
    assert all(unaugmented() for _ in range(6))
    assert not torch.equal(tensors(unaugmented.state.d)[0], tensors(ours.state.d)[0])


def test_it_resumes_bit_for_bit() -> None:
    recipe = R3GAN().fitted(Spec(1, 8, 8), 40, 200)
    whole = make_step(recipe, compiled=True, rate_scale=0.5)
    for _ in range(3):
        whole()
    saved = copy.deepcopy(whole.state.state_dict())
    resumed = make_step(recipe, compiled=True, rate_scale=0.5)
    resumed.state.load_state_dict(saved)
    for _ in range(3):
        assert all(torch.equal(a, b) for a, b in zip(whole().values(), resumed().values(), strict=True))
    for network in ("g", "d", "ema"):
        pairs = zip(*(tensors(getattr(step.state, network)) for step in (whole, resumed)), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
    for name in ("g_optimizer", "d_optimizer"):
        ours, theirs = (getattr(step.state, name).state_dict() for step in (whole, resumed))
        assert ours["param_groups"] == theirs["param_groups"]
        assert all(
            torch.equal(ours["state"][i][k], theirs["state"][i][k]) for i in ours["state"] for k in ours["state"][i]
        )
        assert float(ours["state"][0]["step"]) == 6
    assert ours["param_groups"][0]["lr"] == 0.5 * recipe.schedule(5 * 8).d_lr


def test_what_is_compiled_draws_and_changes_nothing_but_by_being_called(monkeypatch: pytest.MonkeyPatch) -> None:
    step = make_step(Vanilla(), compiled=True)
    step()
    before: list[list[Tensor]] = []

    def noticed(traced: nn.Module) -> Any:
        return lambda *inputs: before.append(tensors(step.state.g)) or traced(*inputs)

    monkeypatch.setattr(traces, "compiled_by_torch", noticed)
    first = tensors(step.state.g)
    step()
    assert all(torch.equal(a, b) for a, b in zip(first, before[0], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, tensors(step.state.g), strict=True))


def test_the_inputs_are_all_that_differs_between_steps() -> None:
    """A trace that is kept sees other rates: with a rate of zero, weights stay where they are."""
    step = make_step(Vanilla(), compiled=True)
    for _ in range(3):
        step()
    change(step, recipe=Vanilla(g_lr=0.0))
    frozen, moving = tensors(step.state.g), tensors(step.state.d)
    step()
    assert all(torch.equal(a, b) for a, b in zip(frozen, tensors(step.state.g), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(moving, tensors(step.state.d), strict=True))


@pytest.mark.parametrize("name", OTHERS)
def test_what_does_not_hold_for_every_step_is_not_traced(name: str) -> None:
    assert not isinstance(of_recipe(name, compiled=True).update, CompiledStep)


@pytest.mark.parametrize(
    "options", [{"precision": "fp16"}, {"accumulate": 2}, {"best_share": lambda seen: 0.5 if seen > 1000 else 1.0}]
)
def test_options_that_change_shapes_or_scales_are_not_traced(options: dict[str, Any]) -> None:
    assert not isinstance(make_step(Vanilla(), compiled=True, **options).update, CompiledStep)


@pytest.mark.parametrize("name", recipes.names())
def test_networks_that_are_compiled_alone_do_the_same(name: str) -> None:
    """As `torch.compile` wraps them, which makes them instances of another class."""
    with torch.compiler.set_stance("force_eager"):
        ours, theirs = (of_recipe(name, compiled=way, best_share=lambda seen: 0.5) for way in (True, False))
        assert ours.way.endswith("networks compiled")
        assert_same(ours, theirs, 2)


@pytest.mark.parametrize("name", ["dcgan", "wgan-gp", "pacgan"])
def test_a_trace_holds_for_another_order_in_memory(name: str) -> None:
    """Convolutions answer in other orders on CUDA while a trace is made, without cuDNN, than when it is used."""
    ours, theirs = (of_recipe(name, **way) for way in ({"compiled": True}, {"plain": True}))
    for network in (ours.state.g, ours.state.d):
        laid_out(network, torch.contiguous_format)
    assert_same(ours, theirs, 1)
    assert isinstance(ours.update, CompiledStep)
    ours.update.prepare(ours.setup, ours.state, ours.setup.draws(1), ours.setup.rates(1))
    for network in (ours.state.g, ours.state.d):
        laid_out(network, torch.channels_last)
    assert_same(ours, theirs, 3)


def laid_out(network: nn.Module, order: torch.memory_format) -> None:
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=order)


@pytest.mark.parametrize(("name", "several"), [("vanilla", False), ("wgan-gp", True), ("acgan", True)])
def test_an_older_compiler_is_not_asked_where_it_would_move_draws_about(
    name: str, several: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch 2.11's keeps what is drawn, but not in which order."""
    monkeypatch.setattr(traces, "draws_in_order", DRAWS_IN_ORDER)
    monkeypatch.delattr(post_grad, "_chain_random_ops_for_ordering", raising=False)
    step = of_recipe(name, compiled=True)
    step()
    if several:
        with pytest.raises(RuntimeError, match="another order"):
            step()
    else:
        step()


@pytest.mark.skipif(torch.__version__ < "2.14", reason="some older compilers move draws about")
def test_the_compiler_of_today_keeps_draws_in_order() -> None:
    """By a pass of its own, whose name is looked for: another name in a later torch shows here."""
    assert hasattr(post_grad, "_chain_random_ops_for_ordering")


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("triton", [True, False])
def test_a_gpu_records_what_is_compiled_where_that_can_be_and_draws_alike(
    ordered: bool, triton: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    traced, compiled = nn.Identity(), nn.Identity()
    monkeypatch.setattr(traces, "compiled_by_torch", lambda trace: compiled)
    monkeypatch.setattr(traces, "draws_in_order", lambda trace: ordered)
    monkeypatch.setattr(traces, "find_spec", lambda name: object() if triton else None)
    monkeypatch.setattr(traces, "Recorded", lambda function, inputs: function)
    found = traces.made_fast(traced, [], torch.device("cuda"))  # type: ignore[arg-type]
    assert found is (compiled if ordered and triton else traced)


@pytest.mark.parametrize("padding", [[1, 1, 1, 1], [1, 2, 0, 3], [0, 0, 2, 0]])
def test_what_takes_the_place_of_an_operation_gives_its_gradient(padding: list[int]) -> None:
    maps = torch.randn(2, 3, 5, 7, dtype=torch.float64, requires_grad=True)
    padded = nn.functional.pad(maps, padding, mode="replicate")
    weights = torch.randn_like(padded)
    (expected,) = torch.autograd.grad((padded * weights).sum(), maps)
    (replaced,) = traces.REPLACED.values()
    torch.testing.assert_close(replaced(weights, maps, padding), expected, rtol=1e-12, atol=1e-12)


class Weighted(Vanilla):
    """Adam with a decay of weights, which the trace's formula does not have."""

    def optimizers(self, g: nn.Module, d: nn.Module) -> Any:
        return tuple(torch.optim.Adam(n.parameters(), weight_decay=0.1) for n in (g, d))


def test_another_adam_is_not_traced() -> None:
    assert not isinstance(make_step(Weighted(), compiled=True).update, CompiledStep)
