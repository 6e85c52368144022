"""A training step on random images, for tests of what happens in it."""

from typing import Any

import torch
from torch import Tensor, nn

from gancli.recipes.base import Spec
from gancli.training import state as training_state
from gancli.training.batches import Noise, ResidentImages
from gancli.training.state import TrainState
from gancli.training.step import Step

CPU = torch.device("cpu")
SPEC = Spec(1, 8, 8)
IMAGES = torch.randint(0, 256, (40, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
"""Forty of them, in batches of eight."""


def make_step(recipe: Any, precision: str = "fp32", dtype: torch.dtype = torch.float32) -> Step:
    state = training_state.create(recipe, SPEC, 0, CPU, precision)
    if dtype != torch.float32:
        g, d = state.g.to(dtype), state.d.to(dtype)
        optimizers = recipe.optimizers(g, d)
        state = TrainState(g, d, state.ema.to(dtype), *optimizers, state.scaler, state.feedback)
    real, noise = ResidentImages(IMAGES, None, 8, 0), Noise(recipe.latent_dim, 0, 8, 0, CPU)
    return Step(recipe, state, real, noise, precision)


def tensors(network: nn.Module) -> list[Tensor]:
    """Copies of all that a network's state holds."""
    return [value.clone() for value in network.state_dict().values()]
