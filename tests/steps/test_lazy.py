"""Lazy terms: when they are due, the step that they take, Adam's correction, and the means that are logged."""

import copy
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn
from training_steps import make_step, tensors

from gancli.functional import penalties
from gancli.recipes.base import Batch, Rates
from gancli.recipes.vanilla import Vanilla
from gancli.steps import traces
from gancli.steps.compiled_step import CompiledStep
from gancli.steps.state import RunningMeans


@dataclass(frozen=True)
class Rare(Vanilla):
    """Perceptrons with R1 every second step, and a term of G every third."""

    simultaneous: ClassVar[bool] = False
    d_interval: ClassVar[int] = 2  # type: ignore[misc]
    g_interval: ClassVar[int] = 3  # type: ignore[misc]

    def d_regularisation(self, d: nn.Module, real: Batch, rates: Rates) -> dict[str, Tensor]:
        return {"r1": 0.7 * penalties.zero_centred(d, real.images, real.labels)}

    def g_regularisation(self, g: nn.Module, d: nn.Module, latents: Tensor, labels: Tensor | None) -> dict[str, Tensor]:
        return {"bright": g(latents, labels).square().mean()}


def test_terms_are_due_in_the_second_step_of_each_interval() -> None:
    step = make_step(Rare())
    had = [step().keys() for _ in range(8)]
    assert [number for number, names in enumerate(had) if "d/r1" in names] == [1, 3, 5, 7]
    assert [number for number, names in enumerate(had) if "g/bright" in names] == [1, 4, 7]
    counts = [
        {int(each["step"]) for each in o.state.values()} for o in (step.state.d_optimizer, step.state.g_optimizer)
    ]
    assert counts == [{8 + 4}, {8 + 3}], "each weight has taken each step"


def test_a_term_takes_a_step_of_adam_with_k_times_its_gradient() -> None:
    step = make_step(Rare(), dtype=torch.float64)
    step()
    d, before = copy.deepcopy(step.state.d), copy.deepcopy(step.state.d_optimizer.state_dict()["state"])
    draws = step.setup.draws(1)
    term = step.terms[0]
    term.update(step.setup, step.state, term.draws(step.setup, 1, draws), step.setup.rates(1))

    images = draws.real[0].images.double().requires_grad_()
    (slope,) = torch.autograd.grad(d(images).sum(), images, create_graph=True)
    r1 = 0.7 / 2 * slope.flatten(1).square().sum(1).mean()
    weights = list(d.parameters())
    gradients = torch.autograd.grad(2 * r1, weights, allow_unused=True, materialize_grads=True)
    share = 2 / 3
    lr, beta1, beta2 = share * 2e-4, 0.9**share, 0.999**share
    for number, (weight, gradient) in enumerate(zip(weights, gradients, strict=True)):
        mean = beta1 * before[number]["exp_avg"] + (1 - beta1) * gradient
        square = beta2 * before[number]["exp_avg_sq"] + (1 - beta2) * gradient.square()
        change = lr * mean / (1 - beta1**2) / ((square / (1 - beta2**2)).sqrt() + 1e-8)
        ours = list(step.state.d.parameters())[number]
        torch.testing.assert_close(ours.detach(), (weight - change).detach(), rtol=1e-7, atol=1e-12)


def test_a_recipe_without_lazy_terms_keeps_adam_as_it_is() -> None:
    rates, group = Vanilla().schedule(0), make_step(Vanilla()).state.d_optimizer.param_groups[0]
    assert (rates.g_lr, rates.d_lr) == (2e-4, 2e-4) and group["betas"] == (0.9, 0.999)


def test_traces_of_lazy_terms_go_on_as_plain_steps_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through steps with one term, with both and with none; each is compiled by itself."""
    monkeypatch.setattr(traces, "compiled_by_torch", lambda traced: traced)
    ours, theirs = (make_step(Rare(), dtype=torch.float64, compiled=way, plain=not way) for way in (True, False))
    for _ in range(8):
        values, expected = ours(), theirs()
        assert values.keys() == expected.keys()
        for name, value in expected.items():
            torch.testing.assert_close(values[name], value, rtol=1e-9, atol=1e-9, msg=name)
    for network in ("g", "d", "ema"):
        for a, b in zip(*(tensors(getattr(step.state, network)) for step in (ours, theirs)), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9, msg=network)
    for a, b in zip(ours.state.g.parameters(), theirs.state.g.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-9, atol=1e-9)
    compiled = [ours.update, *(term.update for term in ours.terms)]
    assert all(isinstance(each, CompiledStep) and each.function is not None for each in compiled)


def test_a_scalar_of_some_steps_has_the_mean_of_those_and_survives_a_checkpoint() -> None:
    means = RunningMeans()
    rows = [{"d/adv": 1.0}, {"d/adv": 2.0, "d/r1": 8.0}, {"d/adv": 3.0, "g/path": 5.0}, {"d/adv": 4.0, "d/r1": 6.0}]
    for row in rows:
        means.add({name: torch.tensor(value) for name, value in row.items()})
    again = RunningMeans()
    again.load_state_dict(means.state_dict(), torch.device("cpu"))
    assert again.means() == means.means() == {"d/adv": 2.5, "d/r1": 7.0, "g/path": 5.0}
    means.add({"g/l1": torch.tensor(3.0)})
    assert means.means() == {"g/l1": 3.0}, "another stage begins anew"
    older = RunningMeans()
    older.load_state_dict({"names": ["d/adv"], "sums": torch.tensor([6.0]), "count": 4}, torch.device("cpu"))
    assert older.means() == {"d/adv": 1.5}
    older.load_state_dict({"names": [], "sums": None, "count": 0}, torch.device("cpu"))
    assert older.means() == {}
