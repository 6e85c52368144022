"""The state of a training; saving and loading it makes a resume exact."""

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.optim import Optimizer

from gancli.machine import devices
from gancli.recipes.base import Rates, Recipe, Spec
from gancli.steps import switches


@dataclass
class RunningMeans:
    """Sums of scalars since the last line of metrics, on the device so that nothing waits for them.

    Lazy terms are not in every step, so sums are kept for each set of names.
    """

    sums: dict[tuple[str, ...], Tensor] = field(default_factory=dict)
    counts: dict[tuple[str, ...], int] = field(default_factory=dict)

    def add(self, scalars: dict[str, Tensor]) -> None:
        """Add one step's scalars; start again if they share no name with those before."""
        values, names = torch.stack([value.detach().float() for value in scalars.values()]), tuple(scalars)
        if names in self.sums:
            self.sums[names] += values
        else:
            if all(set(names).isdisjoint(others) for others in self.sums):
                self.clear()
            self.sums[names] = values
        self.counts[names] = self.counts.get(names, 0) + 1

    def means(self) -> dict[str, float]:
        """The mean of each scalar over the steps that had it, as numbers on the host."""
        names = list(dict.fromkeys(name for group in self.sums for name in group))
        totals, counts = torch.zeros(len(names)), torch.zeros(len(names))
        for group, sums in self.sums.items():
            rows = [names.index(name) for name in group]
            totals[rows] += sums.cpu()
            counts[rows] += self.counts[group]
        return dict(zip(names, (totals / counts).tolist(), strict=True))

    def clear(self) -> None:
        """Start a new line."""
        self.sums, self.counts = {}, {}

    def state_dict(self) -> dict[str, Any]:
        """Names, sums and count of each set of names."""
        groups = self.sums.items()
        return {"groups": [{"names": list(names), "sums": each, "count": self.counts[names]} for names, each in groups]}

    def load_state_dict(self, saved: dict[str, Any], device: torch.device) -> None:
        """Restore the result of `state_dict`, or of older versions, which had one set of names."""
        groups = groups_of(saved)
        self.sums = {tuple(group["names"]): group["sums"].to(device) for group in groups}
        self.counts = {tuple(group["names"]): group["count"] for group in groups}


def groups_of(saved: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The sets of names in a saved `RunningMeans`, of which older versions had one, without a list."""
    return saved["groups"] if "groups" in saved else [dict(saved)] if saved.get("count") else []


@dataclass(frozen=True)
class Best:
    """The best evaluation of a run so far."""

    metric: str
    value: float
    step: int
    """The step after which it was measured."""


@dataclass
class TrainState:
    """Networks, averaged generator, optimizers, loss scaler and counters of a run."""

    g: nn.Module
    d: nn.Module
    ema: nn.Module
    """Exponential moving average of G's weights and batch statistics; it is sampled and evaluated."""
    g_optimizer: Optimizer
    d_optimizer: Optimizer
    scaler: torch.amp.GradScaler
    feedback: Tensor
    """Running statistics of an augmentation that adapts; see `gancli.steps.augmentation`."""
    rollbacks: int = 0
    """Number of times that the run went back to an earlier checkpoint."""
    step: int = 0
    """Steps done; draws depend on the seed and this number alone."""
    seconds: float = 0.0
    """Training time, including parts before a resume."""
    running: RunningMeans = field(default_factory=RunningMeans)
    best: Best | None = None
    """None before the first evaluation."""
    half_done: bool = field(default=False, repr=False)
    """True during a step, when the state must not be saved."""

    @cached_property
    def average(self) -> "Average":
        """Updates ``ema`` from G."""
        return Average(self.ema, self.g)

    def set_rates(self, rates: Rates) -> None:
        """Set the learning rates and, unless None, beta2 in every parameter group of both optimizers."""
        for optimizer, rate in ((self.g_optimizer, rates.g_lr), (self.d_optimizer, rates.d_lr)):
            for group in optimizer.param_groups:
                group["lr"] = rate
                if rates.beta2 is not None:
                    group["betas"] = (group["betas"][0], rates.beta2)

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain data, from which `load_state_dict` restores the state bit for bit."""
        parts = {name: getattr(self, name).state_dict() for name in _PARTS}
        return parts | {
            "feedback": self.feedback,
            "rollbacks": self.rollbacks,
            "step": self.step,
            "seconds": self.seconds,
            "running": self.running.state_dict(),
            "best": asdict(self.best) if self.best else {},
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Restore the result of `state_dict`, on the devices of the present networks.

        Optimizers keep their settings, which are the recipe's. A saved loss scaler that was not in use is ignored.
        """
        for name in ("g", "d", "ema"):
            getattr(self, name).load_state_dict(saved[name])
        for name in ("g_optimizer", "d_optimizer"):
            optimizer = getattr(self, name)
            optimizer.load_state_dict({"state": saved[name]["state"]} | {"param_groups": _settings(optimizer)})
            _lay_out_as_weights(optimizer)
        if saved["scaler"]:
            self.scaler.load_state_dict(saved["scaler"])
        self.feedback.copy_(saved["feedback"])
        self.rollbacks = saved.get("rollbacks", 0)
        self.step, self.seconds = saved["step"], saved["seconds"]
        self.best = Best(**saved["best"]) if saved["best"] else None
        self.running.load_state_dict(saved["running"], next(self.g.parameters()).device)


_PARTS = ("g", "d", "ema", "g_optimizer", "d_optimizer", "scaler")


def create(recipe: Recipe, spec: Spec, seed: int, device: torch.device, precision: str) -> TrainState:
    """The state of a new run; weights are drawn on the CPU, so they do not depend on the device."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        g, d = switches.networks(recipe, spec)
    g, d = devices.place(g, device), devices.place(d, device)
    ema = copy.deepcopy(g).eval().requires_grad_(False)
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
    return TrainState(g, d, ema, *recipe.optimizers(g, d), scaler, torch.zeros(3, device=device))


def _settings(optimizer: Optimizer) -> list[dict[str, Any]]:
    return optimizer.state_dict()["param_groups"]


def _lay_out_as_weights(optimizer: Optimizer) -> None:
    """Give an optimizer's tensors the memory layout of their weights, as fused Adam requires."""
    for parameter, remembered in optimizer.state.items():
        for name, value in remembered.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.stride() != parameter.stride():
                remembered[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


class Average:
    """Moves one network's weights and buffers towards another's, in place."""

    def __init__(self, average: nn.Module, current: nn.Module) -> None:
        directions = {id(value) for m in average.modules() if isinstance(m, _SpectralNorm) for value in m.buffers()}
        self.averages, self.currents, self.others = [], [], []
        for mine, theirs in zip(_tensors(average), _tensors(current), strict=True):
            if mine.is_floating_point() and id(mine) not in directions:
                self.averages.append(mine)
                self.currents.append(theirs)
            else:
                self.others.append((mine, theirs))

    @torch.no_grad()
    def update(self, decay: float | Tensor) -> None:
        """``average = decay * average + (1 - decay) * current``.

        Integers are copied. So are the singular vectors of spectral normalisation: a mean of unit vectors is shorter
        than 1, which would let the weights grow.
        """
        if isinstance(decay, Tensor):
            for average, current in zip(self.averages, self.currents, strict=True):
                average.lerp_(current, 1 - decay)  # while tracing; the compiler fuses it with the update of the weights
        else:
            torch._foreach_lerp_(self.averages, self.currents, 1 - decay)
        for average, current in self.others:
            average.copy_(current)


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]
