"""Steps that process a batch in parts, with the memory of one part and the gradients of the whole batch.

Differences from a step on the whole batch are rounding and the random numbers of layers such as dropout.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrize import ParametrizationList
from torch.optim import Optimizer

from gancli.recipes.base import Batch, Loss, Rates, Recipe
from gancli.steps import switches, updates
from gancli.steps.batches import Draws
from gancli.steps.outcome import Outcome
from gancli.steps.setup import Setup
from gancli.steps.state import TrainState

LossOf = Callable[[slice], Loss]
"""The loss of these rows of a batch."""


def alternate(setup: Setup, state: TrainState, draws: Draws, rates: Rates) -> Outcome:
    """`updates.alternate` in parts; G generates each part of its fakes when it is needed."""
    d_losses = list[Loss]()
    for number in range(setup.recipe.d_steps):
        real = updates.real_images(setup, state, draws, number)
        with torch.no_grad():
            fakes = [_fakes(setup, state, draws, number, real, rows) for rows in setup.parts]
        d_losses.append(_step_d(setup, state, real, joined(fakes), rates))
    last = len(draws.fake) - 1  # the fakes of D's last step if they are reused
    g_loss = _step_g(setup, state, real, partial(updates.generated, setup, state, draws, last, real), rates)
    return updates.finish(setup, state, rates, d_losses, g_loss)


def simultaneous(setup: Setup, state: TrainState, draws: Draws, rates: Rates) -> Outcome:
    """`updates.simultaneous` in parts; D takes the fakes of G's step."""
    real, made = updates.real_images(setup, state, draws, 0), list[Batch]()

    def fakes(rows: slice) -> Batch:
        fake = updates.generated(setup, state, draws, 0, real, rows)
        made.append(fake.detach())
        return fake

    g_loss = _step_g(setup, state, real, fakes, rates)
    d_loss = _step_d(setup, state, real, joined(made), rates)
    return updates.finish(setup, state, rates, [d_loss], g_loss)


def _fakes(setup: Setup, state: TrainState, draws: Draws, number: int, real: Batch, rows: slice) -> Batch:
    with _moved_once(state, rows):
        return updates.generated(setup, state, draws, number, real, rows)


def _step_d(setup: Setup, state: TrainState, real: Batch, fake: Batch, rates: Rates) -> Loss:
    def loss_of(rows: slice) -> Loss:
        return updates.d_loss_of(setup, state, real.rows(rows), fake.rows(rows), rates)

    loss = _descend(setup, state, state.d, state.d_optimizer, loss_of)
    setup.recipe.constrain(state.d)
    return loss


def _step_g(setup: Setup, state: TrainState, real: Batch, fakes: Callable[[slice], Batch], rates: Rates) -> Loss:
    def loss_of(rows: slice) -> Loss:
        return updates.g_loss_of(setup, state, real.rows(rows), fakes(rows), rates)

    with updates.frozen(state.d):
        return _descend(setup, state, state.g, state.g_optimizer, loss_of)


def _descend(setup: Setup, state: TrainState, network: nn.Module, optimizer: Optimizer, loss_of: LossOf) -> Loss:
    """One optimizer step for the mean of the parts' losses, weighted by their shares of the batch."""
    parts = setup.parts
    optimizer.zero_grad(set_to_none=True)
    losses, shares = [], [(rows.stop - rows.start) / parts[-1].stop for rows in parts]
    for rows, share in zip(parts, shares, strict=True):
        with _moved_once(state, rows):
            loss = loss_of(rows)
        updates.backward(state, loss, share)
        losses.append(updates.without_graph(loss))
        del loss  # its graph would keep the memory of this part
    updates.apply_gradients(setup, state, network, optimizer)
    return combined(losses, shares)


def _moved_once(state: TrainState, rows: slice) -> contextlib.AbstractContextManager[None]:
    """In this context, only the first part of a batch updates state of layers."""
    return settled(state.g, state.d) if rows.start else contextlib.nullcontext()


def obstacle(recipe: Recipe, g: nn.Module, d: nn.Module) -> str | None:
    """The reason why a step in parts would differ from one of the whole batch; None if it would not."""
    if recipe.mixes_samples:
        return "D's logit of an image may depend on the others of the batch"
    for name, network in (("G", g), ("D", d)):
        if normalises_batches(network):
            return f"{name}'s batch normalisation mixes the images of a batch"
    if not recipe.separable:
        return "its loss is no mean over the images of a batch"
    return switches.obstacle_to_parts(recipe)


def normalises_batches(network: nn.Module) -> bool:
    """True if the network has batch normalisation, which needs more than one image."""
    return any(isinstance(module, _BatchNorm) for module in network.modules())


def joined(batches: Sequence[Batch]) -> Batch:
    """The parts of a batch as one batch, detached."""
    columns = ([getattr(b.detach(), name) for b in batches] for name in ("images", "labels", "latents", "timesteps"))
    images, *rest = (None if column[0] is None else torch.cat(column) for column in columns)
    assert images is not None
    return Batch(images, *rest)


def combined(losses: Sequence[Loss], shares: Sequence[float]) -> Loss:
    """The loss of a batch: the mean of its parts' losses, weighted by their shares."""
    terms = {
        name: torch.stack([share * loss.terms[name] for loss, share in zip(losses, shares, strict=True)]).sum()
        for name in losses[0].terms
    }
    logits = {name: torch.cat([loss.logits[name] for loss in losses]) for name in losses[0].logits}
    return Loss(terms, logits)


@contextlib.contextmanager
def settled(*networks: nn.Module) -> Iterator[None]:
    """In this context, forward passes do not update layer state (spectral norm's vectors)."""
    moving = [
        module
        for network in networks
        for holder in network.modules()
        if isinstance(holder, ParametrizationList)
        for module in holder
        if module.training
    ]
    for module in moving:
        module.training = False
    try:
        yield
    finally:
        for module in moving:
            module.training = True
