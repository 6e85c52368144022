"""Generator files that no training made: new networks of a recipe, in a moment."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from gancli import recipes
from gancli.artifacts import network_file
from gancli.artifacts.network_file import NetworkFile, Origin
from gancli.data.conditions import Conditions
from gancli.recipes.base import Spec


def write_generator(
    path: Path,
    recipe: str,
    spec: Spec,
    classes: tuple[str, ...] = (),
    seed: int = 0,
    conditions: Conditions | None = None,
    **hyperparameters: Any,
) -> Path:
    """A ``gen.pth`` of a recipe whose networks are new, at the end of the training."""
    chosen = recipes.find(recipe)(**hyperparameters).fitted(spec, 1000, 100_000)
    torch.manual_seed(seed)
    g, _ = chosen.networks(spec)
    chosen.advance(g, 10**9)
    names = classes or tuple(f"c{number}" for number in range(spec.classes))
    origin = Origin(recipe, asdict(chosen), spec, names, "digits", "0" * 16, conditions=conditions)
    network_file.save(path, NetworkFile("generator", origin, 7, 700, g.state_dict()))
    return path
