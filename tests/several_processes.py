"""Steps of recipes whose batches several processes share, for tests: what torchrun starts.

    torchrun --nproc-per-node 2 tests/several_processes.py OUT CASES

CASES is JSON, name by name the arguments of `case_step`; OUT gets what rank 0 has after STEPS steps.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from training_steps import change, labelled, make_step, small

from gancli.machine.distributed import Group, joined
from gancli.recipes.base import Spec
from gancli.steps.step import Step

SPECS = {"grey": Spec(1, 8, 8, 4), "colour": Spec(3, 8, 8, 4), "points": Spec(2, 1, 1, 4, point_scale=1.0)}
ROUNDING = 1e-12
"""Norm of a gradient, relative to the largest of its network, below which it is 0 in exact arithmetic."""


def case_step(
    group: Group, recipe: str, spec: str = "grey", hyperparameters: dict[str, Any] | None = None, top_k: float = 1.0,
    **options: Any,
) -> Step:  # fmt: skip
    """A step in float64 of this process's part of batches of eight."""
    asked = replace(small(recipe), **hyperparameters or {}).fitted(SPECS[spec], 40, 1000)
    options |= {"group": group, "best_share": lambda seen: top_k}
    step = labelled(make_step(asked, dtype=torch.float64, spec=SPECS[spec], **options))
    step.setup.real.rank, step.setup.real.world = group.rank, group.world  # type: ignore[attr-defined]
    change(step, noise=replace(step.setup.noise, rank=group.rank, world=group.world))
    step.state.feedback[0] = 0.5  # of ADA, which would begin with nothing
    return step


def after(steps: int, group: Group, case: dict[str, Any]) -> dict[str, Tensor]:
    """All that the networks hold after so many steps, but for weights that the loss never moved.

    Those hold rounding alone, such as a bias before a batch normalisation.
    """
    step, moved, given = case_step(group, **case), set[str](), set[str]()
    for _ in range(steps):
        step()
        for network in ("g", "d"):
            norms = gradient_norms(getattr(step.state, network))
            largest = max(norms.values(), default=0.0)
            given |= {f"{network}.{name}" for name in norms}
            moved |= {f"{network}.{name}" for name, norm in norms.items() if norm > ROUNDING * largest}
    held: dict[str, Tensor] = {}
    for network in ("g", "d", "ema"):
        for name, value in getattr(step.state, network).state_dict().items():
            if f"{network.replace('ema', 'g')}.{name}" not in given - moved:
                held[f"{network}.{name}"] = value
    return held | {"ada": step.state.feedback}


def gradient_norms(network: nn.Module) -> dict[str, float]:
    """Of each weight that the last step gave a gradient."""
    return {name: p.grad.norm().item() for name, p in network.named_parameters() if p.grad is not None}


def difference(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> tuple[float, str]:
    """The largest ||ours - theirs|| / ||theirs|| of a tensor that both hold, and whose it is."""
    found = {
        name: ((ours[name].double() - value.double()).norm() / (value.double().norm() or 1.0)).item()
        for name, value in theirs.items()
        if name in ours
    }
    name = max(found, key=lambda name: found[name])
    return found[name], name


def main() -> None:
    """In each process of the group."""
    torch.set_num_threads(1)
    out, cases, steps = Path(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3])
    with joined() as group:
        held = {name: after(steps, group, case) for name, case in cases.items()}
        if group.leads:
            torch.save(held, out)


if __name__ == "__main__":
    main()
