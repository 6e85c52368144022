"""From a configuration to something that can run: data, recipe, networks, device and plan, all checked."""

import logging
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from gancli import config as configuration
from gancli import data, devices, recipes
from gancli.config import TrainConfig, parse_image_size
from gancli.data import DataSet
from gancli.errors import DataError, UsageError
from gancli.network_file import Origin
from gancli.recipes.base import Recipe, Spec
from gancli.training import state as training_state
from gancli.training.batches import Noise, ResidentImages
from gancli.training.distributed import Group
from gancli.training.loop import Plan
from gancli.training.step import Step

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """All that a run needs but its folder."""

    config: TrainConfig
    """Resolved: nothing in it is left to a default."""
    device: torch.device
    dataset: DataSet
    recipe: Recipe
    origin: Origin
    plan: Plan
    step: Step


def prepare(config: TrainConfig, group: Group) -> Prepared:
    """Check a configuration and build what it asks for; UsageError and DataError say what is wrong."""
    recipe = configuration.build(recipes.find(config.recipe), config.hyperparameters, f"recipe {config.recipe}")
    device = devices.select(_device_of(config.device, group))
    if config.deterministic:
        devices.make_deterministic(True)
    size = parse_image_size(config.image_size) if config.image_size else None
    dataset = data.load(config.data, Path(config.data_root) if config.data_root else None, size)
    torch.set_num_threads(config.threads or devices.default_threads(*dataset.train.images.shape[2:]))
    config = resolve(config, recipe, dataset, device)
    _check(config, recipe, dataset, group)
    step = _build(config, recipe, dataset, device, group)
    origin = Origin(
        config.recipe, asdict(recipe), spec_of(dataset), dataset.classes, dataset.name, dataset.fingerprint  # type: ignore[call-overload]
    )  # fmt: skip
    return Prepared(config, device, dataset, recipe, origin, plan_of(config, recipe, dataset), step)


def resolve(config: TrainConfig, recipe: Recipe, dataset: DataSet, device: torch.device) -> TrainConfig:
    """Fill in what was left to the recipe, the data and the machine."""
    batch_size = config.batch_size or min(recipe.batch_size, len(dataset.train))
    per_epoch = len(dataset.train) / (batch_size * recipe.d_steps)
    epochs = config.epochs or max(recipe.epochs, round(recipe.least_steps / per_epoch))
    total = config.steps or math.ceil(epochs * per_epoch)
    save_every = (
        config.save_every if config.save_every is not None else max(math.ceil(per_epoch), math.ceil(total / 20))
    )
    return replace(
        config,
        data_root=str(Path(config.data_root).absolute()) if config.data_root else None,
        hyperparameters=asdict(recipe),  # type: ignore[call-overload]
        batch_size=batch_size,
        epochs=None if config.steps else epochs,
        device=str(device),
        threads=torch.get_num_threads(),
        name=config.name or f"{config.data}-{config.recipe}",
        save_every=save_every,
        sample_every=config.sample_every if config.sample_every is not None else save_every,
    )


def plan_of(config: TrainConfig, recipe: Recipe, dataset: DataSet) -> Plan:
    """The plan of a resolved configuration."""
    assert config.batch_size and config.save_every is not None and config.sample_every is not None
    images_per_step = config.batch_size * recipe.d_steps
    total = config.steps or math.ceil((config.epochs or 0) * len(dataset.train) / images_per_step)
    return Plan(
        total_steps=total,
        batch_size=config.batch_size,
        images=len(dataset.train),
        images_per_step=images_per_step,
        log_every=config.log_every,
        save_every=config.save_every,
        sample_every=config.sample_every,
        eval_every=config.eval_every,
    )


def spec_of(dataset: DataSet) -> Spec:
    """Shape and classes of the images."""
    _, channels, height, width = dataset.train.images.shape
    return Spec(channels, height, width, len(dataset.classes))


def _device_of(name: str, group: Group) -> str:
    """Under torchrun each process takes the CUDA device of its local rank."""
    on_cuda = name.startswith("cuda") or (name == "auto" and torch.cuda.is_available())
    return f"cuda:{group.local_rank}" if group.world > 1 and on_cuda else name


def _check(config: TrainConfig, recipe: Recipe, dataset: DataSet, group: Group) -> None:
    assert config.batch_size
    if config.batch_size > len(dataset.train):
        raise UsageError(
            f"--batch-size {config.batch_size} is more than the {len(dataset.train):,} training images of "
            f"{dataset.name}; use {len(dataset.train)} at most."
        )
    if config.batch_size % group.world:
        raise UsageError(f"--batch-size {config.batch_size} does not divide by the {group.world} processes.")
    if recipe.conditional and not dataset.classes:
        raise DataError(f"recipe {config.recipe} draws classes, and {dataset.name} has no labels.")


def _build(config: TrainConfig, recipe: Recipe, dataset: DataSet, device: torch.device, group: Group) -> Step:
    assert config.batch_size
    state = training_state.create(recipe, spec_of(dataset), config.seed, device, config.precision)
    train, classes = dataset.train, len(dataset.classes) if recipe.conditional else 0
    real = ResidentImages(
        images=train.images.to(device),
        labels=None if train.labels is None else train.labels.to(device),
        batch_size=config.batch_size,
        seed=config.seed,
        rank=group.rank,
        world=group.world,
    )
    noise = Noise(recipe.latent_dim, classes, config.batch_size, config.seed, device, group.rank, group.world)
    return Step(recipe, state, real, noise, config.precision, group)
