"""Give every setting a value, and refuse settings that contradict each other or the data."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from gancli import config as configuration
from gancli import data, recipes
from gancli.config import TrainConfig, parse_image_size
from gancli.data import DataSet, PictureOptions, Progress
from gancli.errors import UsageError, counted
from gancli.evaluation.sources.choose_evaluator import MIN_HELDOUT, best_metric_of
from gancli.machine.distributed import Group
from gancli.recipes.base import Recipe, Spec
from gancli.runs.labels import check_labels
from gancli.training.loop import Plan

MIN_EVALUATED = 200_000
"""Real images shown over a run; shorter runs are evaluated only if asked, since that would take longer than they do."""

MIN_BETWEEN_SAVES = 500
"""Steps between checkpoints by default, since a small GAN's step is faster than the disk."""


@dataclass(frozen=True)
class Resolved:
    """A configuration in which every setting has a value, and what follows from it."""

    config: TrainConfig
    recipe: Recipe
    """The recipe, with its hyperparameters fitted to the data."""
    spec: Spec
    plan: Plan
    dataset: DataSet
    device: torch.device
    group: Group
    chosen: str = ""
    """The recipe and the values that it chose, in words."""


def asked_for(config: str | Path | TrainConfig | None, settings: Sequence[str], options: dict[str, Any]) -> TrainConfig:
    """The configuration of a new run; ``options`` override ``settings``, which override the file."""
    if config == "":
        raise UsageError("config is empty; remove it or give it a value.")
    if isinstance(config, TrainConfig):
        file, what = {k: v for k, v in asdict(config).items() if v is not None}, "the configuration"
    else:
        file, what = (
            (configuration.load_toml(Path(config)), str(config)) if config is not None else ({}, "the configuration")
        )
    in_file = configuration.build(TrainConfig, file, what)
    asked = configuration.build(TrainConfig, configuration.merge(file, settings, options), "the command line")
    if asked.recipe != in_file.recipe and in_file.hyperparameters and "recipe" in file:
        raise UsageError(
            f"--recipe {asked.recipe}: {what} has hyperparameters of recipe {in_file.recipe}; remove one of them."
        )
    return asked


def load_data(config: TrainConfig, on_progress: Progress) -> DataSet:
    """Load the data set of a configuration."""
    size = parse_image_size(config.image_size) if config.image_size else None
    asked = {field.name: getattr(config, field.name) for field in fields(PictureOptions)}
    options = configuration.build(PictureOptions, asked, "the pictures' options")
    return data.load(
        config.data, Path(config.data_root) if config.data_root else None, size, options, on_progress, config.cache
    )


def recipe_of(config: TrainConfig) -> Recipe:
    """The recipe of a configuration, with its hyperparameters."""
    return configuration.build(recipes.find(config.recipe), config.hyperparameters, f"recipe {config.recipe}")


def resolve(config: TrainConfig, dataset: DataSet, spec: Spec, device: torch.device, group: Group) -> Resolved:
    """Set every open setting by the recipe, the data and the machine.

    Raises:
        UsageError, DataError: settings contradict each other or the data.
    """
    asked = recipe_of(config)
    config = _filled_in(config, asked, dataset, spec, device)
    plan = _plan_of(config, asked, len(dataset.train))
    resolved = Resolved(config, asked, spec, plan, dataset, device, group)
    _check(resolved)
    return _fitted(resolved)


def _fitted(resolved: Resolved) -> Resolved:
    """The same with hyperparameters that the recipe derives from the data."""
    config, asked, plan = resolved.config, resolved.recipe, resolved.plan
    start = asked.continued() if config.init_from else asked
    try:
        recipe = start.fitted(resolved.spec, plan.images, plan.total_steps * plan.images_per_step)
    except ValueError as error:
        raise UsageError(f"recipe {config.recipe}: {error}") from error
    config = replace(config, hyperparameters=asdict(recipe))
    return replace(resolved, config=config, recipe=recipe, chosen=_chosen(config, asked, recipe))


def _filled_in(config: TrainConfig, recipe: Recipe, dataset: DataSet, spec: Spec, device: torch.device) -> TrainConfig:
    own_batch = recipe.point_batch_size if spec.is_points else recipe.batch_size
    asked = config.batch_size if isinstance(config.batch_size, int) else None
    batch_size = asked or in_packs(min(own_batch, len(dataset.train)), recipe)
    per_epoch = len(dataset.train) / (batch_size * recipe.d_steps)
    usual = min(max(recipe.epochs * per_epoch, recipe.least_steps), recipe.most_steps)
    epochs = config.epochs or max(1, round((recipe.point_steps if spec.is_points else usual) / per_epoch))
    total = config.steps or math.ceil(epochs * per_epoch)
    usually = max(math.ceil(per_epoch), math.ceil(total / 20))
    save_every = max(usually, MIN_BETWEEN_SAVES) if config.save_every is None else config.save_every
    eval_every = config.eval_every
    if eval_every is None:
        shown = total * batch_size * recipe.d_steps
        worth = config.best_metric != "auto" or (total > save_every and (spec.is_points or shown >= MIN_EVALUATED))
        often = save_every if save_every < total else usually
        eval_every = often if worth and len(dataset.heldout) >= MIN_HELDOUT else 0
    return replace(
        config,
        data_root=str(Path(config.data_root).absolute()) if config.data_root else None,
        batch_size=batch_size,
        epochs=None if config.steps else epochs,
        augment=recipe.augmentation(spec, len(dataset.train)) if config.augment == "auto" else config.augment,
        device=str(device),
        threads=torch.get_num_threads(),
        data=dataset.name,
        image_size=f"{spec.height}x{spec.width}" if dataset.options else config.image_size,
        name=config.name or f"{Path(dataset.name).name.removesuffix('.zip')}-{config.recipe}",
        save_every=save_every,
        eval_every=eval_every,
        sample_every=usually if config.sample_every is None else config.sample_every,
    )


def _chosen(config: TrainConfig, asked: Recipe, fitted: Recipe) -> str:
    chosen = fitted.changes_from(asked)
    chosen |= {"augment": _augment_in_words(config.augment, fitted)} if config.augment != "none" else {}
    values = (f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in chosen.items())
    return f"{config.recipe}, fitted to the data: {', '.join(values)}" if chosen else config.recipe


def _augment_in_words(augment: str, recipe: Recipe) -> str:
    """The augmentation, and whether D is given the timesteps of one that has some."""
    if not augment.startswith("diffusion"):
        return augment
    return f"{augment} ({'D sees the timestep' if recipe.sees_timesteps else 'D does not see the timestep'})"


def in_packs(images: int, recipe: Recipe) -> int:
    """The largest batch up to ``images`` that is a multiple of D's pack."""
    return images - images % recipe.images_per_logit or images


def batch_in_words(config: TrainConfig, dataset: DataSet) -> str:
    """A batch's size, which may be nobody's choice, and what would change it."""
    assert isinstance(config.batch_size, int)
    is_all = config.batch_size == len(dataset.train)
    reason = f"{dataset.name} has no more to train on" if is_all else "--batch-size changes it"
    return f"a batch of {counted(config.batch_size, 'image')} ({reason})"


def _plan_of(config: TrainConfig, recipe: Recipe, images: int) -> Plan:
    assert isinstance(config.batch_size, int)
    assert config.save_every is not None and config.sample_every is not None and config.eval_every is not None
    images_per_step = config.batch_size * recipe.d_steps
    total = config.steps or math.ceil((config.epochs or 0) * images / images_per_step)
    return Plan(
        total_steps=total,
        batch_size=config.batch_size,
        images=images,
        images_per_step=images_per_step,
        log_every=config.log_every,
        save_every=config.save_every,
        sample_every=config.sample_every,
        eval_every=config.eval_every,
        watch_every=config.watch_every,
    )


def spec_of(dataset: DataSet) -> Spec:
    """Shape, classes and conditions of the images."""
    _, channels, height, width = dataset.train.images.shape
    scale = dataset.mixture.scale if dataset.mixture else None
    conditions = len(dataset.conditions.names) if dataset.conditions else 0
    return Spec(channels, height, width, len(dataset.classes), scale, conditions)


def device_of(name: str, group: Group) -> str:
    """The device of this process: under torchrun the CUDA device of its local rank."""
    on_cuda = name.startswith("cuda") or (name == "auto" and torch.cuda.is_available())
    return f"cuda:{group.local_rank}" if group.world > 1 and on_cuda else name


def _check(resolved: Resolved) -> None:
    """UsageError or DataError for settings that contradict each other or the data."""
    config, recipe, spec = resolved.config, resolved.recipe, resolved.spec
    dataset, group = resolved.dataset, resolved.group
    assert isinstance(config.batch_size, int)
    if config.batch_size > len(dataset.train):
        raise UsageError(
            f"--batch-size {config.batch_size} is more than the {len(dataset.train):,} training images of "
            f"{dataset.name}; use {len(dataset.train)} at most."
        )
    if config.batch_size % group.world:
        raise UsageError(f"{batch_in_words(config, dataset)} does not divide by the {group.world} processes.")
    if config.batch_size // group.world % recipe.images_per_logit:
        raise UsageError(
            f"{batch_in_words(config, dataset)}: D judges {recipe.images_per_logit} images together, which must divide "
            "the images of a batch" + (" in each process." if group.world > 1 else ".")
        )
    if config.accumulate > config.batch_size // group.world:
        raise UsageError(
            f"--accumulate {config.accumulate} is more than the {config.batch_size // group.world} images of a batch."
        )
    best_metric_of(config.best_metric, dataset)
    if config.eval_every and len(dataset.heldout) < MIN_HELDOUT:
        raise UsageError(
            f"--eval-every {config.eval_every} needs {MIN_HELDOUT} held-out images at least, and {dataset.name} has "
            f"{len(dataset.heldout)}; give more pictures or a larger --holdout."
        )
    check_labels(config.recipe, recipe, dataset)
    if spec.is_points and not recipe.draws_points:
        raise UsageError(f"recipe {config.recipe} draws pictures, and {dataset.name} has points in the plane.")
    if config.mirror and spec.is_points:
        raise UsageError(f"--mirror flips pictures, and {dataset.name} has points in the plane; remove it.")
    if config.top_k < 1 and (recipe.rebuilds or not recipe.uses_fakes):
        raise UsageError(
            f"--top-k chooses among generated images, and recipe {config.recipe} has none to leave out; remove it."
        )
    if config.augment != "none" and (spec.is_points or not recipe.augmentable):
        what = dataset.name if spec.is_points else f"recipe {config.recipe}"
        raise UsageError(f"--augment {config.augment} makes no sense for {what}; remove it.")
