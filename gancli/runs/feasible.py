"""Refuse hyperparameters that would do nothing, and networks that memory cannot hold, before any is made."""

from dataclasses import replace

import torch

from gancli.errors import OutOfMemory, UsageError
from gancli.machine import memory
from gancli.recipes.base import Recipe, Spec
from gancli.runs.resolve import Resolved

PICTURES = Spec(3, 32, 32)
"""Pictures whose networks have every hyperparameter of a size."""
MIN_LARGE = 256
"""Value of a hyperparameter from which the networks may be too large."""
COPIES_OF_G, COPIES_OF_D = 5, 4
"""Weights, gradients, Adam's two moments, and G's average."""
BYTES = 4
"""Size of a weight in fp32."""


def require_effect(resolved: Resolved, asked: Recipe) -> None:
    """UsageError for a hyperparameter of ``asked`` that shapes the networks for pictures, but not those for points."""
    if not resolved.spec.is_points:
        return
    idle = {name: value for name, value in asked.changes_from(type(asked)()).items() if _is_idle(asked, name, resolved)}
    if idle:
        told = ", ".join(f"{name}={value}" for name, value in idle.items())
        raise UsageError(
            f"recipe {resolved.config.recipe}: {told} has no effect on {resolved.dataset.name}, which has points in "
            "the plane; remove it."
        )


def require_room(resolved: Resolved, asked: Recipe) -> None:
    """OutOfMemory if the weights, with all that training keeps of them, need more memory than is free."""
    large = [
        name for name, value in asked.changes_from(type(asked)()).items() if type(value) is int and value >= MIN_LARGE
    ]
    if not large:
        return
    try:
        with torch.device("meta"):
            networks = resolved.recipe.networks(resolved.spec)
        g, d = (sum(weight.numel() for weight in network.parameters()) for network in networks)
    except RuntimeError:  # torch counts bytes in 64 bits
        g = d = 2**62
    wanted, free = BYTES * (COPIES_OF_G * g + COPIES_OF_D * d), _free(resolved.device)
    if free is not None and wanted > free:
        told = ", ".join(f"{name}={getattr(asked, name)}" for name in large)
        raise OutOfMemory(
            f"out of memory: with {told} the weights of recipe {resolved.config.recipe} and what training keeps of "
            f"them take {_size(wanted)}, and {resolved.device} has {_size(free)} free; choose smaller ones."
        )


def shapes(recipe: Recipe, spec: Spec) -> list[tuple[int, ...]]:
    """The shapes of all tensors of G and D, found without making them."""
    with torch.device("meta"):
        return [tuple(each.shape) for network in recipe.networks(spec) for each in network.state_dict().values()]


def _is_idle(asked: Recipe, name: str, resolved: Resolved) -> bool:
    other = replace(asked, **{name: getattr(type(asked)(), name)})
    pictures, points = (
        [shapes(each.fitted(spec, resolved.plan.images, resolved.plan.total_steps), spec) for each in (asked, other)]
        for spec in (PICTURES, resolved.spec)
    )
    return pictures[0] != pictures[1] and points[0] == points[1]


def _free(device: torch.device) -> int | None:
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else memory.free(device)


def _size(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB" if count < 2**60 else "more than any machine has"
