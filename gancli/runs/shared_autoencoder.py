"""The autoencoder of an earlier run, in place of a stage that trains one (``--autoencoder``)."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch

from gancli import recipes
from gancli.artifacts.lookup import generator_called
from gancli.config import TrainConfig
from gancli.errors import UsageError
from gancli.recipes.base import Spec
from gancli.sampling.generator import load_generator, read_generator
from gancli.steps.state import TrainState


def taken_over(config: TrainConfig, spec: Spec) -> TrainConfig:
    """The configuration with the recipe and the sizes of the autoencoder that it names, which counts as trained.

    UsageError where that one does not suit the pictures, the recipe or the hyperparameters that are asked for.
    """
    assert config.autoencoder is not None
    path = generator_called(config.autoencoder).absolute()
    origin = read_generator(path).origin
    sizes = recipes.find(origin.recipe).autoencoder_sizes
    if not sizes:
        raise UsageError(f"--autoencoder {config.autoencoder} is of recipe {origin.recipe}, which trains none.")
    recipe = _taking(config.recipe, origin.recipe)
    if origin.spec.shape != spec.shape:
        held, wanted = (" x ".join(map(str, shape)) for shape in (origin.spec.shape, spec.shape))
        raise UsageError(
            f"--autoencoder {config.autoencoder} is for pictures of {held} (channels, height, width), and these are "
            f"{wanted}; --image-size {origin.spec.height}x{origin.spec.width} resizes them."
        )
    own = {name: origin.hyperparameters[name] for name in sizes}
    if other := [f"{name}={config.hyperparameters[name]}" for name in own if name in config.hyperparameters]:
        raise UsageError(f"{', '.join(other)}: --autoencoder {config.autoencoder} decides that; remove it.")
    chosen = dict(config.hyperparameters) | own | {"trained": True}
    return replace(config, autoencoder=str(path), recipe=recipe, hyperparameters=chosen)


def _taking(asked: str, origin: str) -> str:
    """The recipe that takes the autoencoder of a run of ``origin``; UsageError if the one that is asked for cannot."""
    able = [name for name in recipes.names() if "trained" in {each.name for each in fields(recipes.find(name))}]
    if asked == recipes.AUTO:
        return origin if origin in able else able[0]
    if asked not in able:
        raise UsageError(f"--autoencoder is for recipes that train in its latents ({', '.join(able)}), not {asked}.")
    return asked


def load_into(state: TrainState, config: TrainConfig) -> None:
    """Give a new run's averaged G the autoencoder; G and D take it from there when their stage begins."""
    assert config.autoencoder is not None
    network: Any = load_generator(Path(config.autoencoder), torch.device("cpu")).network
    ours: Any = state.ema
    ours.autoencoder.load_state_dict(network.autoencoder.state_dict())
