"""A whole step as one compiled function: forward, backward, Adam, constraints and average, whatever the recipe.

The step is run once and its operations are written down, those of backward passes, penalties and one-stage gradients
among them; in the code that `traces` makes of them, Adam and the average pass over the weights once. What is drawn
comes in as tensors, and what changes from step to step otherwise (rates, corrections of Adam, the decay of the average)
as a vector of numbers; all else is constant in the trace.
"""

import contextlib
import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.optim import Adam, Optimizer

from gancli.machine import devices
from gancli.recipes.base import AT_THE_END, Batch, Rates, Recipe
from gancli.steps import traces
from gancli.steps.batches import Draws
from gancli.steps.state import TrainState
from gancli.steps.traces import Function

if TYPE_CHECKING:
    from gancli.steps.outcome import Outcome
    from gancli.steps.step import Step


def suits(step: "Step") -> bool:
    """Whether one trace holds for every step: networks and batches of one shape, both trained by Adam.

    A recipe with optimizers of its own may look into them, where a trace would find what was true once.
    """
    return (
        step.noise.device.type in ("cpu", "cuda")
        and step.noise.world == 1
        and step.accumulate == 1
        and step.precision != "fp16"  # whose scale of the loss follows what was found
        and not step.recipe.grows
        and type(step.recipe).optimizers is Recipe.optimizers
        and step.best_share(AT_THE_END) >= 1
        and all(_is_plain_adam(optimizer) for optimizer in _optimizers(step))
    )


def _optimizers(step: "Step") -> tuple[Optimizer, Optimizer]:
    return step.state.d_optimizer, step.state.g_optimizer


def _is_plain_adam(optimizer: Optimizer) -> bool:
    (group, *others) = optimizer.param_groups
    other = ("weight_decay", "amsgrad", "maximize", "decoupled_weight_decay")
    return type(optimizer) is Adam and not others and not any(group.get(name) for name in other)


@dataclass
class _TracedAdam:
    """Adam's formula (Kingma and Ba 2015, arXiv:1412.6980, section 2) on an optimizer's own state, for a trace.

    The i-th step takes row i of ``sizes``, of which `sizes_of` makes one.
    """

    optimizer: Optimizer
    sizes: list[Tensor]
    done: int = 0

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, without the mark for profilers that an optimizer leaves in a trace."""
        for weight in self.optimizer.param_groups[0]["params"]:
            weight.grad = None

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """None, so that nobody sets their rates."""
        return []

    @torch.no_grad()
    def step(self) -> None:
        """Move every weight that has a gradient."""
        size, small, rest = self.sizes[self.done].unbind()
        self.done += 1
        (group,) = self.optimizer.param_groups
        for weight in group["params"]:
            if weight.grad is not None:
                state = self.optimizer.state[weight]
                mean, square = state["exp_avg"], state["exp_avg_sq"]
                mean.lerp_(weight.grad, 1 - group["betas"][0])
                square.lerp_(weight.grad.square(), rest)
                weight.sub_(size * mean / (square.sqrt() + small))


def sizes_of(optimizer: Optimizer, taken: float) -> list[float]:
    """What Adam's step after ``taken`` steps multiplies and adds, its corrections of the bias drawn in.

    With m, v the decayed means of the gradient and of its square, a weight moves by -a m / (sqrt(v) + b); a, b and
    1 - beta2 come back.
    """
    (group,) = optimizer.param_groups
    beta1, beta2 = group["betas"]
    root = math.sqrt(1 - beta2 ** (taken + 1))
    return [group["lr"] * root / (1 - beta1 ** (taken + 1)), group["eps"] * root, 1 - beta2]


class WholeStep:
    """Does what `Step.compute` does, compiled; traced for the tensors that the state has at its first call."""

    def __init__(self, step: "Step") -> None:
        self.step = step
        self._function: Function | None = None

    def ready(self) -> bool:
        """Whether Adam has begun to remember; it does so in the first step of a run, which is not compiled."""
        counts = ({float(s["step"]) for s in o.state.values()} for o in _optimizers(self.step))
        return self._function is not None or all(len(each) == 1 for each in counts)

    def __call__(self, draws: Draws, rates: Rates, decay: float) -> "Outcome":
        """See `Step.compute`."""
        self.step.set_rates(rates)
        if self._function is None:
            self._function = self._prepared(draws, rates, decay)
        with torch.no_grad():
            found = iter(self._function(self._numbers(rates, decay), *_tensors(draws)))
        for number, (steps, taken) in enumerate(zip(self._steps, (self.step.recipe.d_steps, 1), strict=True)):
            torch._foreach_add_(steps, taken)
            self._taken[number] += taken
        scalars = dict(zip(self._names, next(found).clone().unbind(), strict=True))
        for parameter in self._moved:
            parameter.grad = next(found)
        return replace(self._empty, scalars=scalars, real_logits=list(found))

    def _prepared(self, draws: Draws, rates: Rates, decay: float) -> Function:
        """Trace and compile, as if nothing had been done: the state and what layers draw are left as they were."""
        self._steps = [[s["step"] for s in o.state.values()] for o in _optimizers(self.step)]
        self._taken = [float(steps[0]) for steps in self._steps]  # here alone, since it waits for the device
        inputs, device = [self._numbers(rates, decay), *_tensors(draws)], self.step.noise.device
        with torch.random.fork_rng([device] if device.type == "cuda" else []), _unchanged(self.step.state):
            return traces.made_fast(self._trace(draws, inputs), inputs, device)

    def _numbers(self, rates: Rates, decay: float) -> Tensor:
        """``(3 d_steps + 7,)``: a row of `sizes_of` for each of D's steps and for G's, and what `_trace` takes last."""
        (d, g), (d_taken, g_taken) = _optimizers(self.step), self._taken
        rows = [sizes_of(d, d_taken + i) for i in range(self.step.recipe.d_steps)]
        rows.append(sizes_of(g, g_taken))
        values = [*itertools.chain(*rows), rates.g_lr, rates.d_lr, rates.gamma, decay]
        numbers = torch.tensor(values, dtype=next(self.step.state.g.parameters()).dtype)
        return devices.sent(numbers, self.step.noise.device)

    def _trace(self, draws: Draws, inputs: list[Tensor]) -> GraphModule:
        """A module that does one step's operations on the inputs and on the state, as is done once while it is traced.

        It gives the scalars in one vector, the gradients of G, for whoever watches them, and D's logits on real images.
        """
        state, (d, g) = self.step.state, _optimizers(self.step)

        def run(numbers: Tensor, *tensors: Tensor) -> list[Tensor]:
            g_lr, d_lr, gamma, decay = numbers[-4:].unbind()
            sizes = list(numbers[:-4].view(-1, 3).unbind())
            traced_d, traced_g = _TracedAdam(d, sizes[:-1]), _TracedAdam(g, sizes[-1:])
            own = replace(state, d_optimizer=traced_d, g_optimizer=traced_g)  # type: ignore[arg-type]
            rates = Rates(g_lr, d_lr, 0.0, gamma)  # type: ignore[arg-type]
            outcome = replace(self.step, state=own, compiled=False).compute(_filled(draws, tensors), rates, decay)
            self._empty, self._names = replace(outcome, scalars={}, real_logits=[]), list(outcome.scalars)
            self._moved = [parameter for parameter in state.g.parameters() if parameter.grad is not None]
            gradients = [parameter.grad for parameter in self._moved if parameter.grad is not None]
            return [torch.stack(list(outcome.scalars.values())), *gradients, *outcome.real_logits]

        return traces.written_down(run, inputs)


@contextlib.contextmanager
def _unchanged(state: TrainState) -> Iterator[None]:
    """Put back at the end what steps have changed; gradients are forgotten."""
    kept = [(tensor, tensor.detach().clone()) for tensor in _changing(state)]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, before in kept:
                tensor.copy_(before)
        for optimizer in (state.g_optimizer, state.d_optimizer):
            optimizer.zero_grad(set_to_none=True)


def _changing(state: TrainState) -> Iterator[Tensor]:
    """Every tensor that a step may change."""
    for network in (state.g, state.d, state.ema):
        yield from itertools.chain(network.parameters(), network.buffers())
    for optimizer in (state.g_optimizer, state.d_optimizer):
        for remembered in optimizer.state.values():
            yield from (value for value in remembered.values() if isinstance(value, Tensor))


def _tensors(draws: Draws) -> list[Tensor]:
    """The tensors of what was drawn, always in the same order."""
    columns = [value for batch in draws.real for value in (batch.images, batch.labels)]
    columns += [value for pair in draws.fake for value in pair]
    return [value for value in (*columns, *draws.real_uniform, *draws.fake_uniform) if value is not None]


def _filled(draws: Draws, tensors: Iterable[Tensor]) -> Draws:
    """What was drawn with these tensors in place of its own."""
    rest = iter(tensors)

    def other(value: Tensor | None) -> Tensor | None:
        return None if value is None else next(rest)

    return Draws(
        real=[Batch(next(rest), other(batch.labels)) for batch in draws.real],
        fake=[(next(rest), other(labels)) for _, labels in draws.fake],
        real_uniform=[other(value) for value in draws.real_uniform],
        fake_uniform=[other(value) for value in draws.fake_uniform],
    )
