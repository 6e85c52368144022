"""ADA's feedback, the same draws for any number of processes, top-k and FreezeD."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import softplus
from training_steps import CPU, SPEC, change, make_step, small, tensors

from gancli import recipes
from gancli.machine.distributed import Group
from gancli.recipes.base import Batch, Recipe, Spec
from gancli.recipes.dcgan import DCGAN
from gancli.recipes.r3gan import R3GAN
from gancli.recipes.sngan import SNGAN
from gancli.recipes.vanilla import Vanilla
from gancli.recipes.wgan import WGAN
from gancli.recipes.wgan_gp import WGANGP
from gancli.runs.prepare import top_k_share
from gancli.steps import updates
from gancli.steps.augmentation import Augmentation
from gancli.steps.freezing import freeze_lowest


def made(policy: str, rank: int = 0, world: int = 1) -> Augmentation:
    return Augmentation(policy, 0, 8, Group(rank, world), CPU)


@pytest.mark.parametrize("policy", ["diffaug", "ada", "diffusion", "diffusion-uniform"])
def test_two_processes_draw_what_one_draws(policy: str) -> None:
    images = torch.rand(8, 3, 8, 8)
    whole, feedback = made(policy), torch.tensor([0.5, 0.0, 0.0])
    halves = []
    for rank in range(2):
        half = made(policy, rank, 2)
        halves.append(half(Batch(images[4 * rank : 4 * rank + 4]), half.draw("real", 3, 192), feedback).images)
    assert torch.equal(whole(Batch(images), whole.draw("real", 3, 192), feedback).images, torch.cat(halves))


def test_what_ada_has_counted_is_the_same_in_every_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Group, "total", lambda group, values: values + torch.tensor([-4.0, 4.0]))
    ada, feedback = made("ada", 0, 2), torch.zeros(3)
    ada.observe(feedback, torch.ones(4), 0)
    assert feedback.tolist() == [0, 0, 8], "of both processes, as a checkpoint keeps it"


def test_ada_grows_where_d_is_sure_of_real_images_and_shrinks_where_it_is_not() -> None:
    ada, feedback = made("ada"), torch.zeros(3)
    step = ada.STEPS * 8 / ada.IMAGES["ada"]
    for number in range(2 * ada.STEPS):
        ada.observe(feedback, torch.ones(8), number)
    assert feedback[0].item() == pytest.approx(2 * step)
    for number in range(ada.STEPS):
        ada.observe(feedback, torch.tensor([1.0, -1.0] * 4), number)
    assert feedback[0].item() == pytest.approx(step)
    for number in range(5 * ada.STEPS):
        ada.observe(feedback, -torch.ones(8), number)
    assert feedback.tolist() == [0, 0, 0], "p stays in [0, 1]"


def test_diffusion_grows_with_overfitting_five_times_as_fast_and_tells_its_timesteps() -> None:
    augmentation, feedback = made("diffusion"), torch.zeros(3)
    for number in range(augmentation.STEPS):
        augmentation.observe(feedback, torch.ones(8), number)
    assert feedback[0].item() == pytest.approx(4 * 8 / 100_000), "as the authors: from 0 to 1 in 100,000 images"
    batch = augmentation(Batch(torch.zeros(8, 1, 8, 8)), augmentation.draw("real", 0, 64), feedback)
    assert batch.timesteps is not None and batch.timesteps.shape == (8,)
    assert torch.equal(batch.timesteps > 0, batch.images.flatten(1).abs().sum(1) > 0), "t = 0 adds no noise"
    assert batch.rows(slice(2, 4)).detach().timesteps is not None


def test_a_run_with_diffusion_resumes_bit_for_bit() -> None:
    whole, resumed = (make_step(DCGAN(width=4), augmentation="diffusion") for _ in range(2))
    for _ in range(6):
        whole()
    saved = copy.deepcopy(whole.state.state_dict())
    resumed.state.load_state_dict(saved)
    for step in (whole, resumed):
        for _ in range(3):
            step()
    assert whole.state.feedback[2] > 0
    assert torch.equal(whole.state.feedback, resumed.state.feedback)
    assert all(torch.equal(a, b) for a, b in zip(tensors(whole.state.d), tensors(resumed.state.d), strict=True))


@pytest.mark.parametrize("recipe", [R3GAN(), WGANGP(width=4)], ids=["r3gan", "wgan-gp"])
def test_a_constant_added_to_all_logits_changes_no_feedback_where_it_changes_no_loss(recipe: Any) -> None:
    both = []
    for constant in (0.0, 100.0):
        step = make_step(recipe.fitted(SPEC, 40, 200), dtype=torch.float64, augmentation="ada")
        with torch.no_grad():
            list(step.state.d.parameters())[-1] += constant
        for _ in range(3):
            step()
        both.append(step.state.feedback.clone())
    assert both[0][1] != 24, "some images are on either side"
    assert torch.equal(*both)


def test_d_sees_augmented_images_and_both_sides_alike() -> None:
    step = make_step(Vanilla(), plain=True, augmentation="diffaug")
    seen: dict[str, Any] = {}
    loss = Vanilla.d_loss

    class Watching(Vanilla):
        def d_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Any) -> Any:
            seen.update(real=real.images, fake=fake.images)
            return loss(self, g, d, real, fake, rates)

    change(step, recipe=Watching())
    step()
    assert not torch.equal(seen["real"], step.setup.real.batch(0).images)
    assert (seen["real"] == 0).sum() >= 8 * 16, "the hole of a quarter of each image"
    assert (seen["fake"] == 0).sum() >= 8 * 16


def test_top_k_lets_g_learn_from_the_most_real_fakes() -> None:
    step = make_step(Vanilla(), best_share=lambda images_seen: 0.25)
    seen: list[Batch] = []

    class Watching(Vanilla):
        def g_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Any) -> Any:
            seen.extend([real, fake])
            return super().g_loss(g, d, real, fake, rates)

    change(step, recipe=Watching())
    z, _ = step.setup.noise.draw("g", 0)
    with torch.no_grad():
        logits = step.state.d(step.state.g(z))
    step()
    real, fake = seen
    assert len(real.images) == len(fake.images) == 2
    assert fake.latents is not None
    assert torch.equal(fake.latents, z[logits.topk(2).indices])


def test_top_k_takes_the_best_of_the_logits_of_the_whole_batch() -> None:
    step = make_step(DCGAN(width=4), dtype=torch.float64, spec=Spec(1, 16, 16), best_share=lambda images_seen: 0.25)
    setup, state = step.setup, step.state
    draws = setup.draws(0)
    fake = updates.generated(setup, state, draws, 0, updates.real_images(setup, state, draws, 0))
    logits = state.d(fake.images)  # with batch normalisation, which other images would change
    loss = updates.g_loss_of(setup, state, fake, fake, setup.rates(0))
    torch.testing.assert_close(loss.terms["adv"], softplus(-logits).topk(2, largest=False).values.mean())


def test_top_k_falls_by_a_hundredth_an_epoch() -> None:
    assert top_k_share(0.5, 100, 99) == 1
    assert top_k_share(0.5, 100, 250) == pytest.approx(0.99**2)
    assert top_k_share(0.5, 100, 10**6) == 0.5
    assert top_k_share(1.0, 100, 10**6) == 1


@pytest.mark.parametrize("recipe", [DCGAN(width=8), SNGAN(width=8)], ids=["dcgan", "sngan"])
def test_frozen_layers_stay_and_the_others_learn(recipe: Any) -> None:
    step = make_step(recipe)
    names = [name for name, p in step.state.d.named_parameters() if p.ndim > 1]
    freeze_lowest(recipe, SPEC, step.state.d, 1, 8)
    before = {name: p.clone() for name, p in step.state.d.named_parameters()}
    for _ in range(2):
        step()
    changed = [name for name, p in step.state.d.named_parameters() if not torch.equal(p, before[name])]
    first = names[0].partition(".parametrizations")[0].rpartition(".")[0]
    assert not [name for name in changed if name.startswith(names[0])]
    assert names[-1] in changed and names[1] in changed, first


def frozen(recipe: Recipe, layers: int, spec: Spec = Spec(3, 32, 32, 4)) -> list[str]:  # noqa: B008
    """Of D's parameters, those that are frozen; at their full size where networks grow."""
    recipe = recipe.fitted(spec, 1000, 10_000)
    _, d = recipe.networks(spec)
    before = {key: value.clone() for key, value in d.state_dict().items()}
    freeze_lowest(recipe, spec, d, layers, 4)
    assert all(torch.equal(value, before[key]) for key, value in d.state_dict().items()) and d.training
    return [key for key, parameter in d.named_parameters() if not parameter.requires_grad]


def test_the_first_layers_are_those_that_an_image_meets_first() -> None:
    """Whatever the order in which a network lists them, and whatever else has weights."""
    grown = frozen(small("progressive"), 3)
    assert {name.partition(".layer")[0] for name in grown} == {"from_image.3", "entries.2", "exits.2"}
    inside = frozen(R3GAN(network="residual", width=16), 3)
    assert inside == [
        "layers.0.weight",
        *[f"layers.1.layers.{k}" for k in ("0.weight", "1.bias", "2.weight", "3.bias")],
    ]
    projected = frozen(small("projection"), 1)
    assert projected and not any("embed" in name or "logit" in name for name in projected)


def test_all_layers_cannot_be_frozen() -> None:
    _, d = Vanilla().networks(SPEC)
    freeze_lowest(Vanilla(), SPEC, d, 2, 2)
    _, other = Vanilla().networks(SPEC)
    with pytest.raises(ValueError, match="3 layers"):
        freeze_lowest(Vanilla(), SPEC, other, 3, 2)


def test_what_is_frozen_is_not_clipped_either() -> None:
    recipe = WGAN(width=4, clip=1e-4)
    _, d = recipe.networks(SPEC)
    freeze_lowest(recipe, SPEC, d, 1, 2)
    before = [parameter.clone() for parameter in d.parameters()]
    recipe.constrain(d)
    for parameter, unclipped in zip(d.parameters(), before, strict=True):
        assert parameter.abs().max() <= 1e-4 if parameter.requires_grad else torch.equal(parameter, unclipped)
    assert [p.requires_grad for p in d.parameters()].count(False) == 2


@pytest.mark.parametrize("name", recipes.names())
def test_some_of_any_discriminator_can_be_frozen(name: str) -> None:
    spec = Spec(1, 8, 8, 4)
    first, more = (frozen(small(name), layers, spec) for layers in (1, 2))
    assert first and set(first) < set(more)


def test_rates_of_beta2_reach_adam() -> None:
    class Scheduled(Vanilla):
        def schedule(self, images_seen: int) -> Any:
            return replace(super().schedule(images_seen), beta2=0.5)

    step = make_step(Scheduled())
    before = tensors(step.state.g)
    step()
    assert step.state.g_optimizer.param_groups[0]["betas"] == (0.9, 0.5)
    assert not all(torch.equal(a, b) for a, b in zip(before, tensors(step.state.g), strict=True))
