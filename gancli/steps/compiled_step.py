"""A whole step as one compiled function: forward, backward, Adam, constraints and average, for any recipe.

The step runs once while its operations are recorded, including backward passes and penalties; `traces` compiles them.
In the compiled code, Adam and the average pass over the weights once. Its inputs are the draws and a vector of the
numbers that change with each step: rates, Adam's bias corrections and the average's decay. All else is constant.
"""

import contextlib
import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.optim import Adam, Optimizer

from gancli.machine import devices
from gancli.recipes.base import AT_THE_END, Batch, Rates, Recipe
from gancli.steps import traces
from gancli.steps.batches import Draws
from gancli.steps.outcome import Outcome
from gancli.steps.setup import Setup, Update
from gancli.steps.state import TrainState
from gancli.steps.traces import Function


def suits(setup: Setup, state: TrainState) -> bool:
    """True if one trace is valid for all steps: fixed shapes, and both networks trained by Adam.

    A recipe with its own optimizers may read their state, which a trace would make constant.
    """
    return (
        setup.noise.device.type in ("cpu", "cuda")
        and setup.noise.world == 1
        and setup.accumulate == 1
        and setup.precision != "fp16"  # its loss scale depends on the gradients
        and not setup.recipe.grows
        and type(setup.recipe).optimizers is Recipe.optimizers
        and setup.best_share(AT_THE_END) >= 1
        and all(_is_plain_adam(optimizer) for optimizer in _optimizers(state))
    )


def _optimizers(state: TrainState) -> tuple[Optimizer, Optimizer]:
    return state.d_optimizer, state.g_optimizer


def _is_plain_adam(optimizer: Optimizer) -> bool:
    (group, *others) = optimizer.param_groups
    other = ("weight_decay", "amsgrad", "maximize", "decoupled_weight_decay")
    return type(optimizer) is Adam and not others and not any(group.get(name) for name in other)


@dataclass(frozen=True)
class _TracedRates(Rates):
    """Rates that are inputs of a trace."""

    decay: float | Tensor = 0.0

    def ema_decay(self, batch_size: int) -> float | Tensor:
        return self.decay


@dataclass
class _TracedAdam:
    """Adam's formula (Kingma and Ba 2015, arXiv:1412.6980, section 2) on an optimizer's state, for tracing.

    The i-th step takes row i of ``sizes``; `sizes_of` computes a row.
    """

    optimizer: Optimizer
    sizes: list[Tensor]
    done: int = 0

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Remove the gradients without the profiler mark that an optimizer adds to a trace."""
        for weight in self.optimizer.param_groups[0]["params"]:
            weight.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Update every weight that has a gradient."""
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
    """The factors (a, b, 1 - beta2) of Adam's step after ``taken`` steps, including bias corrections.

    With m and v the decayed means of the gradient and of its square, a weight changes by -a m / (sqrt(v) + b).
    """
    (group,) = optimizer.param_groups
    beta1, beta2 = group["betas"]
    root = math.sqrt(1 - beta2 ** (taken + 1))
    return [group["lr"] * root / (1 - beta1 ** (taken + 1)), group["eps"] * root, 1 - beta2]


class CompiledStep:
    """An `Update` as compiled code, for one set-up and one state.

    The first step of a new run is not compiled, because Adam has no state before it. ``moves`` are the steps of D's and
    of G's optimizer in one call; ``taken``, those done before, is shared with other compiled updates of the state.
    """

    def __init__(self, update: Update, moves: tuple[int, int], taken: list[float]) -> None:
        self._update, self._moves, self._taken = update, moves, taken
        self.function: Function | None = None
        """The compiled code; None before compilation."""

    def __call__(self, setup: Setup, state: TrainState, draws: Draws, rates: Rates) -> Outcome:
        """One step, as an `Update`."""
        if self.function is None:
            if not _adam_has_state(state):
                return self._update(setup, state, draws, rates)
            self.prepare(setup, state, draws, rates)
        assert self.function is not None
        with torch.no_grad():
            results = iter(self.function(self._numbers(setup, state, rates), *_tensors(draws)))
        for number, (steps, taken) in enumerate(zip(self._steps, self._moves, strict=True)):
            torch._foreach_add_(steps, taken)
            self._taken[number] += taken
        scalars = dict(zip(self._names, next(results).clone().unbind(), strict=True))
        for parameter in self._moved:
            parameter.grad = next(results)
        return Outcome(scalars, list(results))

    def prepare(self, setup: Setup, state: TrainState, draws: Draws, rates: Rates) -> None:
        """Trace and compile; state and random generators are restored afterwards."""
        self._steps = [[s["step"] for s in o.state.values()] for o in _optimizers(state)]
        if not self._taken:
            self._taken += [float(steps[0]) for steps in self._steps]  # only here, since it waits for the device
        for optimizer in _optimizers(state):
            optimizer.zero_grad(set_to_none=True)
        inputs, device = [self._numbers(setup, state, rates), *_tensors(draws)], setup.noise.device
        with torch.random.fork_rng([device] if device.type == "cuda" else []), _unchanged(state):
            self.function = traces.made_fast(self._trace(setup, state, draws, inputs), inputs, device)

    def _numbers(self, setup: Setup, state: TrainState, rates: Rates) -> Tensor:
        """`sizes_of` for each step of D and of G, 3 numbers each; both rates, gamma, the average's decay."""
        rows = [
            sizes_of(optimizer, taken + i)
            for optimizer, taken, moves in zip(_optimizers(state), self._taken, self._moves, strict=True)
            for i in range(moves)
        ]
        decay = rates.ema_decay(setup.noise.batch_size)
        values = [*itertools.chain(*rows), rates.g_lr, rates.d_lr, rates.gamma, decay]
        numbers = torch.tensor(values, dtype=next(state.g.parameters()).dtype)
        return devices.sent(numbers, setup.noise.device)

    def _trace(self, setup: Setup, state: TrainState, draws: Draws, inputs: list[Tensor]) -> GraphModule:
        """A module with the operations of one step on inputs and state; tracing executes them once.

        It returns the scalars as one vector, G's gradients (for the health watch), and D's logits on real images.
        """
        d, g = _optimizers(state)

        def run(numbers: Tensor, *tensors: Tensor) -> list[Tensor]:
            g_lr, d_lr, gamma, decay = numbers[-4:].unbind()
            sizes = list(numbers[:-4].view(-1, 3).unbind())
            of_d = self._moves[0]
            traced_d, traced_g = _TracedAdam(d, sizes[:of_d]), _TracedAdam(g, sizes[of_d:])
            own = replace(state, d_optimizer=traced_d, g_optimizer=traced_g)  # type: ignore[arg-type]
            rates = _TracedRates(g_lr, d_lr, 0.0, gamma, decay=decay)  # type: ignore[arg-type]
            outcome = self._update(setup, own, _filled(draws, tensors), rates)
            self._names = list(outcome.scalars)
            self._moved = [parameter for parameter in state.g.parameters() if parameter.grad is not None]
            gradients = [parameter.grad for parameter in self._moved if parameter.grad is not None]
            return [torch.stack(list(outcome.scalars.values())), *gradients, *outcome.real_logits]

        return traces.written_down(run, inputs)


def _adam_has_state(state: TrainState) -> bool:
    """True if each optimizer has made at least one step, the same number with all weights."""
    counts = ({float(s["step"]) for s in optimizer.state.values()} for optimizer in _optimizers(state))
    return all(len(each) == 1 for each in counts)


class CompiledNetworks:
    """An `Update` with each network compiled separately; on CUDA each pass of a network is a graph."""

    def __init__(self, update: Update) -> None:
        self._update = update
        self._compiled: dict[nn.Module, nn.Module] = {}

    def __call__(self, setup: Setup, state: TrainState, draws: Draws, rates: Rates) -> Outcome:
        """One step, as an `Update`."""
        if setup.noise.device.type == "cuda":
            torch.compiler.cudagraph_mark_step_begin()  # outputs of the step before may be overwritten
        g, d = (self._of(network) for network in (state.g, state.d))
        return self._update(setup, replace(state, g=g, d=d), draws, rates)

    def _of(self, network: nn.Module) -> nn.Module:
        if network not in self._compiled:  # each stage of a training has its own
            self._compiled[network] = _compiled(network)
        return self._compiled[network]


def _compiled(network: nn.Module) -> nn.Module:
    """The compiled network; random layers draw the same numbers as uncompiled."""
    options: Any = {"fallback_random": True, "triton.cudagraphs": True}
    return torch.compile(network, dynamic=False, options=options)  # type: ignore[return-value]


@contextlib.contextmanager
def _unchanged(state: TrainState) -> Iterator[None]:
    """At the end of this context, restore the state and remove the gradients."""
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
    """The tensors of the draws, in a fixed order."""
    columns = [value for batch in draws.real for value in (batch.images, batch.labels)]
    columns += [value for pair in draws.fake for value in pair]
    return [value for value in (*columns, *draws.real_uniform, *draws.fake_uniform) if value is not None]


def _filled(draws: Draws, tensors: Iterable[Tensor]) -> Draws:
    """The draws with their tensors replaced by these."""
    rest = iter(tensors)

    def other(value: Tensor | None) -> Tensor | None:
        return None if value is None else next(rest)

    return Draws(
        real=[Batch(next(rest), other(batch.labels)) for batch in draws.real],
        fake=[(next(rest), other(labels)) for _, labels in draws.fake],
        real_uniform=[other(value) for value in draws.real_uniform],
        fake_uniform=[other(value) for value in draws.fake_uniform],
    )
