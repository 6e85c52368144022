"""Is a GPU right: every recipe against the CPU in float64, and resumes bit for bit."""

import json
import math
import os
import subprocess
import sys
from functools import partial
from typing import Any

import torch
from gpu_rows import ROOT, Asked, Row, Skipped, Tasks
from gpu_steps import as_traced
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from gancli import recipes
from gancli.recipes.base import Spec
from gancli.steps.compiled_step import CompiledStep
from gancli.steps.step import Step

sys.path.append(str(ROOT / "tests"))
from training_steps import labelled, make_step, small

CPU = torch.device("cpu")
SPEC = Spec(3, 8, 8, 4)
RESIDUAL = "r3gan residual"
STEPS = 4
TOLERANCE = 1e-9
"""Of a weight tensor's difference, relative to its norm, in float64."""
ROUNDING = 1e-12
"""Norm of a gradient, relative to the largest of its network, below which it is 0 in exact arithmetic."""
RESUMED = (
    "vanilla", "dcgan", "r3gan", "wgan-gp", "acgan", "fastgan", "vanilla --compile on", "dcgan --precision bf16",
    "dcgan --compile on", "r3gan --augment ada",
)  # fmt: skip
"""Recipe and further flags."""


def parity(asked: Asked) -> Tasks:
    """Each recipe on the device against the CPU from the same draws: as it is written, the fast way, as a graph."""
    names = ("vanilla", "dcgan") if asked.tiny else (*recipes.names(), RESIDUAL)
    ways = {"plain": {"plain": True}, "fast": {}}
    tasks: Tasks = {f"{name}, {way}": partial(_parity, name, asked, **o) for name in names for way, o in ways.items()}
    for way in () if asked.tiny else ("graph", "compiled graph"):
        tasks |= {f"{name}, {way}": partial(_same_as_eager, name, asked, way) for name in names}
    return tasks


def _step(name: str, device: torch.device, **options: Any) -> Step:
    recipe = recipes.find("r3gan")(network="residual", width=16) if name == RESIDUAL else small(name)  # type: ignore[call-arg]
    return labelled(make_step(recipe.fitted(SPEC, 40, 1000), dtype=torch.float64, spec=SPEC, device=device, **options))


def _parity(name: str, asked: Asked, **options: Any) -> Row:
    """Layers draw the CPU's numbers on both."""
    ours, theirs = _step(name, asked.device, **options), _step(name, CPU, **options)
    with DrawnOnCPU():
        for _ in range(STEPS):
            ours(), theirs()
    return {"against": "the CPU"} | difference(ours, theirs)


def _same_as_eager(name: str, asked: Asked, way: str) -> Row:
    """Against the same device, since a graph draws what layers draw there."""
    ours, theirs = _step(name, asked.device, compiled=True), _step(name, asked.device)
    if not isinstance(ours.update, CompiledStep) and (ours.setup.recipe.grows or way == "graph"):
        raise Skipped("the step is not traced as a whole")
    with as_traced(way):
        for _ in range(STEPS):
            ours(), theirs()
    return {"against": "the same device without", "way": ours.way} | difference(ours, theirs)


class DrawnOnCPU(TorchDispatchMode):
    """Operations that draw do so on the CPU, from its generator, wherever and in whatever memory order their result is
    wanted.
    """

    def __torch_dispatch__(self, function: Any, kinds: Any, values: Any = (), options: Any = None) -> Any:
        options = options or {}
        if torch.Tag.nondeterministic_seeded not in function.tags:
            return function(*values, **options)
        given = [value for value in (*values, *options.values()) if isinstance(value, Tensor | torch.device)]
        device = next((v.device if isinstance(v, Tensor) else v for v in given), CPU)
        drawn = function(*tree_map(_on_cpu, values), **tree_map(_on_cpu, options))
        if function._schema.is_mutable:
            return values[0].copy_(drawn)
        return tree_map(lambda leaf: leaf.to(device) if isinstance(leaf, Tensor) else leaf, drawn)


def _on_cpu(leaf: Any) -> Any:
    on_cpu = isinstance(leaf, Tensor)
    return leaf.cpu().contiguous() if on_cpu else CPU if isinstance(leaf, torch.device) else leaf


def difference(ours: Step, theirs: Step) -> Row:
    """The largest ||ours - theirs|| / ||theirs|| of a tensor of G, D and the average, and whose it is.

    Weights that the loss does not move are left out: they hold rounding alone. ``theirs`` was not compiled.
    """
    left_out = {f"{network}.{name}" for network in ("g", "d") for name in _unmoved(getattr(theirs.state, network))}
    left_out |= {f"ema.{name.removeprefix('g.')}" for name in left_out if name.startswith("g.")}
    differences: dict[str, float] = {}
    for network in ("g", "d", "ema"):
        mine, other = (getattr(step.state, network).state_dict() for step in (ours, theirs))
        for name, value in other.items():
            if f"{network}.{name}" not in left_out:
                expected = value.double().cpu()
                norm = float(expected.norm()) or 1.0
                differences[f"{network}.{name}"] = float((mine[name].double().cpu() - expected).norm()) / norm
    worst = max(differences, key=lambda name: differences[name] if differences[name] == differences[name] else math.inf)
    passed = differences[worst] <= TOLERANCE
    return {"steps": STEPS, "difference": differences[worst], "of": worst, "left_out": len(left_out), "passed": passed}


def _unmoved(network: nn.Module) -> list[str]:
    """Weights whose gradient is 0 but for rounding, such as a bias before a batch normalisation."""
    norms = {name: float(p.grad.norm()) for name, p in network.named_parameters() if p.grad is not None}
    largest = max(norms.values(), default=0.0)
    return [name for name, norm in norms.items() if 0 < norm < ROUNDING * largest]


def resume(asked: Asked) -> Tasks:
    """``gancli verify-resume`` with ``--deterministic``."""
    return {each: partial(_resume, each, asked) for each in (RESUMED[:1] if asked.tiny else RESUMED)}


def _resume(flags: str, asked: Asked) -> Row:
    command = [sys.executable, "-m", "gancli", "verify-resume", "--json", "--quiet", "--device", str(asked.device)]
    command += ["--deterministic", "--steps", "6" if asked.tiny else "30", "--recipe", *flags.split()]
    verified = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False,
        timeout=max(1, asked.seconds_left), env=os.environ | {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"},
    )  # fmt: skip
    if not verified.stdout.strip():
        raise RuntimeError((verified.stderr.strip().splitlines() or [f"exit code {verified.returncode}"])[-1])
    said = json.loads(verified.stdout)
    return said | {"differences": said["differences"][:5], "passed": said["exact"]}
