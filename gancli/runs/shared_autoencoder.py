"""The autoencoder of an earlier run, in place of a stage that trains one (``--autoencoder``)."""

from dataclasses import replace
from pathlib import Path

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
    if config.recipe not in (recipes.AUTO, origin.recipe):
        raise UsageError(f"--autoencoder {config.autoencoder} is of recipe {origin.recipe}, not {config.recipe}.")
    sizes = recipes.find(origin.recipe).autoencoder_sizes
    if not sizes:
        raise UsageError(f"--autoencoder {config.autoencoder} is of recipe {origin.recipe}, which trains none first.")
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
    return replace(config, autoencoder=str(path), recipe=origin.recipe, hyperparameters=chosen)


def load_into(state: TrainState, config: TrainConfig) -> None:
    """Give a new run's averaged G the autoencoder; G and D take it from there when their stage begins."""
    assert config.autoencoder is not None
    network = load_generator(Path(config.autoencoder), torch.device("cpu")).network
    weights = network.get_submodule("autoencoder").state_dict()
    state.ema.get_submodule("autoencoder").load_state_dict(weights)
