"""A step computed plainly from the recipe's losses; the reference for the faster ways."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gancli import whole_batch
from gancli.functional.losses import at_least_fp32
from gancli.recipes.base import Batch, Loss, Rates, Recipe
from gancli.steps import switches
from gancli.steps.batches import Draws
from gancli.steps.outcome import Outcome, scalars_of
from gancli.steps.setup import Setup
from gancli.steps.state import TrainState

ALL = slice(0, None)
"""All rows of a batch."""


def alternate(setup: Setup, state: TrainState, draws: Draws, rates: Rates) -> Outcome:
    """D steps ``d_steps`` times; then G steps with the new D, on new fakes or on those of D's last step."""
    recipe, d_losses = setup.recipe, list[Loss]()
    for number in range(recipe.d_steps):
        real = real_images(setup, state, draws, number)
        reused = recipe.reuses_fakes and number == recipe.d_steps - 1
        with torch.set_grad_enabled(reused):
            fake = generated(setup, state, draws, number, real)
        d_losses.append(step_d(setup, state, real, fake.detach(), rates))
    if not recipe.reuses_fakes:
        fake = generated(setup, state, draws, recipe.d_steps, real)
    g_loss = step_g(setup, state, real, fake, rates)
    return finish(setup, state, rates, d_losses, g_loss)


def simultaneous(setup: Setup, state: TrainState, draws: Draws, rates: Rates) -> Outcome:
    """Both networks step from the same fakes and the same D; G first."""
    real = real_images(setup, state, draws, 0)
    fake = generated(setup, state, draws, 0, real)
    return step_both(setup, state, real, fake, rates)


def g_alone(setup: Setup, state: TrainState, draws: Draws, rates: Rates) -> Outcome:
    """G steps down `Recipe.lone_loss` on real images, in a stage without D."""
    state.g_optimizer.zero_grad(set_to_none=True)
    with setup.autocast():
        loss = setup.recipe.lone_loss(state.g, state.d, draws.real[0], rates)
    backward(state, loss)
    apply_gradients(setup, state, state.g, state.g_optimizer)
    return finish(setup, state, rates, [], without_graph(loss))


def step_both(setup: Setup, state: TrainState, real: Batch, fake: Batch, rates: Rates) -> Outcome:
    """`simultaneous` with given fakes."""
    g_loss = step_g(setup, state, real, fake, rates)
    d_loss = step_d(setup, state, real, fake.detach(), rates)
    return finish(setup, state, rates, [d_loss], g_loss)


def step_d(setup: Setup, state: TrainState, real: Batch, fake: Batch, rates: Rates) -> Loss:
    """Step D down its loss on these images; returns the loss."""
    state.d_optimizer.zero_grad(set_to_none=True)
    loss = d_loss_of(setup, state, real, fake, rates)
    backward(state, loss)
    apply_gradients(setup, state, state.d, state.d_optimizer)
    setup.recipe.constrain(state.d)
    return without_graph(loss)


def step_g(setup: Setup, state: TrainState, real: Batch, fake: Batch, rates: Rates) -> Loss:
    """Step G down its loss, through the graph of ``fake``; returns the loss."""
    with frozen(state.d):
        state.g_optimizer.zero_grad(set_to_none=True)
        loss = g_loss_of(setup, state, real, fake, rates)
        backward(state, loss)
        apply_gradients(setup, state, state.g, state.g_optimizer)
    return without_graph(loss)


def finish(setup: Setup, state: TrainState, rates: Rates, d_losses: list[Loss], g_loss: Loss) -> Outcome:
    """After both networks' steps: update the average and collect the scalars; of D's losses the last is logged."""
    setup.group.average_buffers(state.g, state.d)
    state.average.update(rates.ema_decay(setup.noise.batch_size))
    scalars = (scalars_of("d", d_losses[-1]) if d_losses else {}) | scalars_of("g", g_loss)
    return Outcome(scalars, [logits_for_feedback(setup, loss) for loss in d_losses])


def real_images(setup: Setup, state: TrainState, draws: Draws, number: int) -> Batch:
    """The real images of D's step ``number``, augmented."""
    return setup.augment(draws.real[number], draws.real_uniform[number], state.feedback)


def generated(setup: Setup, state: TrainState, draws: Draws, number: int, real: Batch, rows: slice = ALL) -> Batch:
    """`Recipe.generated` for these rows of the latents ``number`` and of ``real``, augmented; float32 or float64.

    Empty if the losses do not use them, see `Recipe.uses_fakes`.
    """
    latents, labels = draws.fake[number]
    latents, labels = latents[rows], None if labels is None else labels[rows]
    if not setup.recipe.uses_fakes:
        return Batch(latents.new_empty(len(latents), 0), labels, latents)
    with setup.autocast():
        batch = setup.recipe.generated(state.g, real.rows(rows), latents, labels)
    images = at_least_fp32(batch.images)
    batch = replace(batch, images=images, plain=images if switches.need_plain_images(setup.recipe) else None)
    return setup.augment(batch, draws.fake_uniform[number], state.feedback, first=rows.start)


def d_loss_of(setup: Setup, state: TrainState, real: Batch, fake: Batch, rates: Rates) -> Loss:
    """D's loss in the run's precision."""
    recipe = setup.recipe
    with setup.autocast(), switches.watched(recipe, state.d):
        return switches.with_d_terms(recipe, state.d, recipe.d_loss(state.g, state.d, real, fake, rates))


def g_loss_of(setup: Setup, state: TrainState, real: Batch, fake: Batch, rates: Rates) -> Loss:
    """G's loss in the run's precision."""
    with setup.autocast():
        loss = _own_g_loss(setup, state, real, fake, rates)
        return switches.with_g_terms(setup.recipe, state.ema, real, fake, loss)


def _own_g_loss(setup: Setup, state: TrainState, real: Batch, fake: Batch, rates: Rates) -> Loss:
    """The recipe's loss; in top-k training, only of the fakes with D's highest logits.

    Sinha 2020 (arXiv:2002.06224), algorithm 1, over the whole batch of all processes, which all compute the same loss.
    If the loss is not a function of logits alone, it is called with these fakes and as many real images.
    """
    recipe, share = setup.recipe, setup.best_share(setup.images_seen(state.step))
    if share >= 1 or not recipe.uses_fakes:
        return recipe.g_loss(state.g, state.d, real, fake, rates)
    of_logits = type(recipe).g_loss is Recipe.g_loss
    with torch.set_grad_enabled(of_logits):
        logits = whole_batch.gathered(state.d(fake.images, fake.labels))
    best = logits.topk(max(1, round(share * len(logits))))
    if of_logits:
        return Loss({"adv": recipe.g_adversarial(best.values)})
    whole_real, whole_fake = (batch.mapped(whole_batch.gathered) for batch in (real, fake))
    with whole_batch.alone():
        chosen = whole_real.rows(slice(len(best.indices))), whole_fake.rows(best.indices)
        return recipe.g_loss(state.g, state.d, *chosen, rates)


def backward(state: TrainState, loss: Loss, share: float = 1.0) -> None:
    """Add the gradients of the sum of a loss's terms, times the part's share of the batch."""
    total = torch.stack(list(loss.terms.values())).sum()
    state.scaler.scale(total if share == 1 else share * total).backward()


def apply_gradients(setup: Setup, state: TrainState, network: nn.Module, optimizer: Optimizer) -> None:
    """Average the gradients over the processes, and do the optimizer's step."""
    setup.group.average_gradients(network)
    state.scaler.step(optimizer)
    state.scaler.update()


def without_graph(loss: Loss) -> Loss:
    """The same values without their graph, so that its memory is freed."""
    terms, logits = ({k: v.detach() for k, v in values.items()} for values in (loss.terms, loss.logits))
    return Loss(terms, logits)


def logits_for_feedback(setup: Setup, loss: Loss) -> Tensor:
    """D's logits on real images; for feedback relative to D's border, see `Recipe.border_at_zero`."""
    real = loss.logits["real"].detach()
    if setup.recipe.border_at_zero or not setup.augment.adapts:
        return real
    means = torch.stack([real.mean(), loss.logits["fake"].detach().mean()])
    return real - setup.group.total(means).mean() / setup.group.world


@contextlib.contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """In this context, gradients flow through the network but not into its weights."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
