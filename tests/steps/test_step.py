"""One step against the same step written by hand, in the order that each recipe asks for."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.nn.functional import softplus
from training_steps import IMAGES, SPEC, change, make_step, tensors

from gancli.recipes.dcgan import DCGAN
from gancli.recipes.lsgan import LSGAN
from gancli.recipes.r3gan import R3GAN
from gancli.recipes.vanilla import Vanilla
from gancli.recipes.wgan import WGAN
from gancli.steps.state import Average
from gancli.steps.step import Step


def by_hand(g: nn.Module, d: nn.Module, real: Tensor, z: Tensor, adam_g: Any, adam_d: Any) -> None:
    """The tutorial's loop body: G first against labels of one, then D on the same fakes, halved."""
    ones, zeros = torch.ones(len(real)), torch.zeros(len(real))
    adam_g.zero_grad()
    fake = g(z)
    bce(d(fake), ones).backward()
    adam_g.step()
    adam_d.zero_grad()
    (0.5 * (bce(d(real), ones) + bce(d(fake.detach()), zeros))).backward()
    adam_d.step()


def test_vanilla_is_the_tutorials_step() -> None:
    step = make_step(Vanilla())
    g, d = copy.deepcopy(step.state.g), copy.deepcopy(step.state.d)
    adam_g, adam_d = (torch.optim.Adam(network.parameters(), lr=2e-4) for network in (g, d))
    for number in range(5):
        by_hand(g, d, step.setup.real.batch(number).images, step.setup.noise.draw("g", number)[0], adam_g, adam_d)
        step()
    for ours, theirs in zip(tensors(step.state.g) + tensors(step.state.d), tensors(g) + tensors(d), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_an_alternate_recipe_updates_d_before_g_sees_it() -> None:
    step = make_step(DCGAN(width=8))
    seen: list[Tensor] = []
    before = tensors(step.state.d)
    loss = step.setup.recipe.g_loss

    class Watching(DCGAN):
        def g_loss(self, g: nn.Module, d: nn.Module, *rest: Any) -> Any:
            seen.extend(tensors(d))
            return loss(g, d, *rest)

    change(step, recipe=Watching(width=8))
    step()
    assert not all(torch.equal(a, b) for a, b in zip(before, seen, strict=True))


def test_dcgan_is_the_well_known_examples_step() -> None:
    """D learns from a batch of fakes, then G from the same."""
    step = make_step(DCGAN(width=4), dtype=torch.float64)
    g, d = copy.deepcopy(step.state.g), copy.deepcopy(step.state.d)
    adam_g, adam_d = DCGAN().optimizers(g, d)
    for number in range(4):
        fake = g(step.setup.noise.draw("d", number)[0])
        adam_d.zero_grad()
        (softplus(-d(step.setup.real.batch(number).images)).mean() + softplus(d(fake.detach())).mean()).mul(
            0.5
        ).backward()
        adam_d.step()
        adam_g.zero_grad()
        softplus(-d(fake)).mean().backward()
        adam_g.step()
        step()
    for ours, theirs in zip(tensors(step.state.g) + tensors(step.state.d), tensors(g) + tensors(d), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("cls", [DCGAN, LSGAN])
def test_g_learns_from_new_images_unless_the_recipe_reuses_ds(cls: Any) -> None:
    seen: list[Tensor] = []

    class Watching(cls):  # type: ignore[misc]
        def d_loss(self, g: nn.Module, d: nn.Module, real: Any, fake: Any, rates: Any) -> Any:
            seen.append(fake.images)
            return super().d_loss(g, d, real, fake, rates)

        def g_loss(self, g: nn.Module, d: nn.Module, real: Any, fake: Any, rates: Any) -> Any:
            seen.append(fake.images)
            return super().g_loss(g, d, real, fake, rates)

    make_step(Watching(width=4, d_steps=2))()
    assert [torch.equal(seen[2], each) for each in seen] == [False, cls.reuses_fakes, True]


def test_several_d_steps_use_fresh_images_and_noise() -> None:
    step = make_step(DCGAN(width=8, d_steps=2))
    batches: list[Tensor] = []
    loss = DCGAN.d_loss

    class Watching(DCGAN):
        def d_loss(self, g: nn.Module, d: nn.Module, real: Any, fake: Any, rates: Any) -> Any:
            batches.extend([real.images, fake.images])
            return loss(self, g, d, real, fake, rates)

    change(step, recipe=Watching(width=8, d_steps=2))
    step()
    step()
    assert step.images_seen == 32
    real = torch.cat(batches[0::2])
    assert len(real.flatten(1).unique(dim=0)) == len(IMAGES[:32])
    assert not torch.equal(batches[1], batches[3])


@pytest.mark.parametrize("recipe", [Vanilla(r1_gamma=1.0), DCGAN(width=8)], ids=["vanilla", "dcgan"])
def test_gs_step_leaves_ds_gradients_alone(recipe: Any) -> None:
    step = make_step(recipe, plain=True)
    step()
    assert all(parameter.requires_grad for parameter in step.state.d.parameters())
    frozen: list[bool] = []
    loss = recipe.g_loss
    object.__setattr__(
        recipe,
        "g_loss",
        lambda g, d, *rest: frozen.append(any(p.requires_grad for p in d.parameters())) or loss(g, d, *rest),
    )
    step()
    assert frozen == [False]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("recipe", [Vanilla(r1_gamma=0.1), WGAN(width=4, d_steps=2)], ids=["at once", "in turn"])
def test_low_precision_trains_with_weights_and_losses_in_fp32(recipe: Any, precision: str) -> None:
    step = make_step(recipe, precision)
    before = tensors(step.state.g)
    for _ in range(3):
        scalars = step()
    assert all(value.dtype == torch.float32 and torch.isfinite(value) for value in scalars.values())
    assert all(p.dtype == torch.float32 for p in step.state.g.parameters())
    assert not all(torch.equal(a, b) for a, b in zip(before, tensors(step.state.g), strict=True))


def test_the_average_is_the_formula() -> None:
    a, b = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    b.weight.data.fill_(3.0)
    b.running_mean.fill_(1.0)  # type: ignore[union-attr]
    b.num_batches_tracked.fill_(7)  # type: ignore[union-attr]
    Average(a, b).update(0.75)
    assert a.weight.tolist() == [1.5] * 3
    assert a.running_mean.tolist() == [0.25] * 3  # type: ignore[union-attr]
    assert int(a.num_batches_tracked) == 7  # type: ignore[arg-type]


def test_the_average_forgets_half_in_its_half_life() -> None:
    recipe = Vanilla(ema_half_life=80.0)
    step = make_step(recipe)
    step.state.step = 10**6  # past the ramp
    rates = recipe.schedule(step.images_seen)
    assert rates.ema_half_life == 80
    for parameter in step.state.ema.parameters():
        parameter.fill_(1.0)
    change(step, recipe=replace(recipe, g_lr=0.0))
    for parameter in step.state.g.parameters():
        parameter.data.fill_(0.0)
    for _ in range(10):  # 10 batches of 8
        step()
    assert torch.allclose(next(step.state.ema.parameters()), torch.tensor(0.5), atol=1e-5)


@pytest.mark.parametrize(("is_new", "half_life"), [(True, 0.05 * 3 * 8), (False, 80.0)])
def test_a_new_average_soon_forgets_what_g_drew_first(is_new: bool, half_life: float) -> None:
    step = make_step(WGAN(d_steps=2, ema_half_life=80.0), average_is_new=is_new)
    step.state.step = 3  # of G, in which D made six
    assert_average_has_half_life(step, half_life)


def test_a_recipe_that_ramps_by_itself_keeps_its_ramp_and_spares_an_average_that_goes_on() -> None:
    recipe = R3GAN(ema_half_life=800.0).fitted(SPEC, 40, 800)
    step = make_step(recipe)
    step.state.step = 50
    assert_average_has_half_life(step, 400.0)  # half-way, where the usual ramp would have 20
    assert_average_has_half_life(make_step(recipe, average_is_new=False), 800.0)


def assert_average_has_half_life(step: Step, half_life: float) -> None:
    before = [weights.clone() for weights in step.state.ema.parameters()]
    step()
    for old, now, found in zip(before, step.state.g.parameters(), step.state.ema.parameters(), strict=True):
        torch.testing.assert_close(found, torch.lerp(now, old, 0.5 ** (8 / half_life)))


def test_rates_reach_the_optimizers() -> None:
    step = make_step(Vanilla(g_lr=1e-3, d_lr=3e-3))
    step()
    assert [group["lr"] for o in (step.state.g_optimizer, step.state.d_optimizer) for group in o.param_groups] == [
        1e-3,
        3e-3,
    ]


def test_a_state_saved_in_another_order_in_memory_goes_on_the_same() -> None:
    first, second = make_step(DCGAN(width=8)), make_step(DCGAN(width=8))
    assert any(p.is_contiguous(memory_format=torch.channels_last) for p in first.state.d.parameters() if p.ndim == 4)
    first()
    saved = copy.deepcopy(first.state.state_dict())
    for part in ("g_optimizer", "d_optimizer"):
        for remembered in saved[part]["state"].values():
            remembered.update({name: value.contiguous() for name, value in remembered.items()})
    second.state.load_state_dict(saved)
    first(), second()
    for network in ("g", "d"):
        pairs = zip(tensors(getattr(first.state, network)), tensors(getattr(second.state, network)), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("recipe", [Vanilla(), DCGAN(width=8)], ids=["vanilla", "dcgan"])
def test_gradients_have_their_weights_order_in_memory(recipe: Any) -> None:
    step = make_step(recipe)
    step()
    for parameter in [*step.state.g.parameters(), *step.state.d.parameters()]:
        assert parameter.grad is not None and parameter.grad.stride() == parameter.stride()
