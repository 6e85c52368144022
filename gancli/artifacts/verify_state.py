"""Check a saved state before any part of it is loaded."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gancli.artifacts.network_file import require_fit
from gancli.errors import FileFormatError
from gancli.steps.state import TrainState, groups_of


def require_loadable(state: TrainState, saved: Mapping[str, Any]) -> None:
    """Raise FileFormatError naming the first part of ``saved`` that does not fit ``state``."""
    own = state.state_dict()
    for name, value in own.items():
        kind = Mapping if isinstance(value, Mapping) else type(value)
        _require(name in saved and isinstance(saved[name], kind), f"its {name} is missing or strange")
    for name, what in (("g", "generator"), ("d", "discriminator"), ("ema", "averaged generator")):
        _require(all(isinstance(value, Tensor) for value in saved[name].values()), f"its {name} is no table of tensors")
        require_fit(getattr(state, name), saved[name], what)
    for name in ("g_optimizer", "d_optimizer"):
        _require_optimizer(getattr(state, name), saved[name].get("state"), name)
    _require_scaler(own["scaler"], saved["scaler"])
    _require(_like(saved["feedback"], state.feedback), "its feedback is strange")
    counters = [saved[name] for name in ("step", "rollbacks", "seconds")]
    _require(all(0 <= value < math.inf for value in counters), "its counters are strange")
    _require_running(saved["running"])
    best = saved["best"]
    kinds = {"metric": str, "value": float, "step": int}
    _require(not best or {name: type(value) for name, value in best.items()} == kinds, "its best is strange")


def _require_optimizer(optimizer: Optimizer, remembered: Any, what: str) -> None:
    """Require that each parameter's saved state has the names, shapes and types that this optimizer keeps."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    examples = _remembered(optimizer)
    _require(isinstance(remembered, Mapping), f"{what} remembers nothing")
    for number, values in remembered.items():
        _require(number in range(len(parameters)) and isinstance(values, Mapping), f"{what} is of other parameters")
        _require(values.keys() == examples.keys(), f"{what} remembers something else")
        for name, example in examples.items():
            expected = example if example.ndim == 0 else parameters[number]
            _require(_like(values[name], expected), f"{what}'s {name} has another shape or type")
            _require(example.ndim > 0 or 0 <= float(values[name]) < math.inf, f"{what}'s {name} is no count")


def _remembered(optimizer: Optimizer) -> dict[str, Tensor]:
    """The state that an optimizer of this type keeps for a parameter, taken from one step on an example."""
    parameter = nn.Parameter(torch.zeros(2))
    parameter.grad = torch.zeros(2)
    settings = {name: value for name, value in optimizer.defaults.items() if name not in ("capturable", "fused")}
    fresh = type(optimizer)([parameter], **settings)
    fresh.step()
    return fresh.state[parameter]


def _require_scaler(scaler: Mapping[str, Any], saved: Mapping[str, Any]) -> None:
    sound = all(type(value) in (int, float) and value >= 0 for value in saved.values())
    _require(not saved or not scaler or (sound and saved.keys() == scaler.keys()), "its scaler is strange")


def _require_running(running: Mapping[str, Any]) -> None:
    known = isinstance(running.get("groups"), list) or "count" in running
    groups = groups_of(running) if known else [{}]
    _require(all(isinstance(group, dict) and _are_means(group) for group in groups), "its running means are strange")


def _are_means(group: Mapping[str, Any]) -> bool:
    names, sums, count = (group.get(name) for name in ("names", "sums", "count"))
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        return False
    return isinstance(count, int) and count > 0 and _like(sums, torch.zeros(len(names)))


def _like(value: Any, expected: Tensor) -> bool:
    return isinstance(value, Tensor) and value.shape == expected.shape and value.dtype == expected.dtype


def _require(fits: bool, otherwise: str) -> None:
    if not fits:
        raise FileFormatError(f"the checkpoint does not fit the run: {otherwise}.")
