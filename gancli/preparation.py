"""From a configuration to something that can run: data, recipe, networks, device and plan, all checked."""

import logging
import math
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path

import torch

from gancli import arithmetic, compiling, data, devices, memory, recipes
from gancli import config as configuration
from gancli.config import TrainConfig, parse_image_size
from gancli.data import DataSet, PictureOptions, Progress
from gancli.errors import DataError, UsageError
from gancli.judging import LEAST_HELDOUT, best_metric_of
from gancli.network_file import Origin
from gancli.randomness import key
from gancli.recipes.base import Recipe, Spec
from gancli.training import accumulation, freezing
from gancli.training import state as training_state
from gancli.training.batches import Noise, ResidentImages
from gancli.training.distributed import Group
from gancli.training.loop import Plan
from gancli.training.prefetching import PrefetchedImages
from gancli.training.step import Step

log = logging.getLogger(__name__)
LEAST_EVALUATED = 200_000
"""Images shown in all from which a run is evaluated unless it is told to: a shorter one is over before its evaluation
has what it needs."""
LEAST_BETWEEN_SAVES = 500
"""Steps, unless the user wants it otherwise: the steps of a small GAN take no longer than waiting for the disk."""


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
    chosen: str
    """The recipe and what it was left to choose, in words."""


def prepare(config: TrainConfig, group: Group, on_progress: Progress = lambda done, total: None) -> Prepared:
    """Check a configuration and build what it asks for; UsageError and DataError say what is wrong.

    ``on_progress`` hears how many pictures of how many are decoded, if any must be.
    """
    if config.recipe != recipes.AUTO:
        recipe_of(config)  # so that a typo is refused before any data are read
    device = devices.select(_device_of(config.device, group))
    if config.deterministic:
        devices.make_deterministic(True)
    dataset = load_data(config, on_progress)
    spec = spec_of(dataset)
    torch.set_num_threads(config.threads or devices.default_threads(spec.height, spec.width))
    if config.recipe == recipes.AUTO:
        config = replace(config, recipe=recipes.default_for(spec))
    config = arithmetic.chosen(config, device, group)
    asked = recipe_of(config)
    config = resolve(config, asked, dataset, device)
    _check(config, asked, dataset, group)
    plan = plan_of(config, asked, dataset)
    start = asked.continued() if config.init_from else asked
    try:
        recipe = start.fitted(spec, plan.images, plan.total_steps * plan.images_per_step)
    except ValueError as error:
        raise UsageError(f"recipe {config.recipe}: {error}") from error
    config = replace(config, hyperparameters=asdict(recipe))
    config = replace(config, compile=_compile(config, recipe, dataset, device, group, plan.total_steps))
    step = _build(config, recipe, dataset, device, group)
    if config.accumulate > 1 and (reason := obstacle(config, step)):
        raise UsageError(
            f"--accumulate {config.accumulate} would not give the result of the whole batch with recipe "
            f"{config.recipe}: {reason}; use a smaller --batch-size."
        )
    origin = Origin(
        config.recipe, asdict(recipe), spec, dataset.classes, dataset.name, dataset.fingerprint, dataset.options
    )
    return Prepared(config, device, dataset, recipe, origin, plan, step, _chosen(config, asked, recipe))


def _compile(
    config: TrainConfig, recipe: Recipe, dataset: DataSet, device: torch.device, group: Group, steps: int
) -> compiling.Way:
    """Choose whether to compile; without being told only for one process and a step that is always the same."""
    if recipe.grows:
        if config.compile == "on":
            log.warning("compile: off, since the networks of recipe %s grow.", config.recipe)
        return "off"
    if config.compile == "auto" and (group.world > 1 or config.top_k < 1):
        return "off"

    def build(way: compiling.Way) -> Step:
        return replace(_build(replace(config, compile=way), recipe, dataset, device, group), group=Group())

    way = compiling.choose(config.compile, steps, build)
    memory.release(device)  # of the steps that were tried, which refer to themselves
    return way


def load_data(config: TrainConfig, on_progress: Progress) -> DataSet:
    """The data that a configuration asks for."""
    size = parse_image_size(config.image_size) if config.image_size else None
    asked = {field.name: getattr(config, field.name) for field in fields(PictureOptions)}
    options = configuration.build(PictureOptions, asked, "the pictures' options")
    return data.load(
        config.data, Path(config.data_root) if config.data_root else None, size, options, on_progress, config.cache
    )


def recipe_of(config: TrainConfig) -> Recipe:
    """The recipe with the hyperparameters that the configuration asks for."""
    return configuration.build(recipes.find(config.recipe), config.hyperparameters, f"recipe {config.recipe}")


def resolve(config: TrainConfig, recipe: Recipe, dataset: DataSet, device: torch.device) -> TrainConfig:
    """Fill in what was left to the recipe, the data and the machine."""
    spec = spec_of(dataset)
    own_batch = recipe.point_batch_size if spec.is_points else recipe.batch_size
    asked = config.batch_size if isinstance(config.batch_size, int) else None
    batch_size = asked or in_packs(min(own_batch, len(dataset.train)), recipe)
    per_epoch = len(dataset.train) / (batch_size * recipe.d_steps)
    usual = min(max(recipe.epochs * per_epoch, recipe.least_steps), recipe.most_steps)
    epochs = config.epochs or max(1, round((recipe.point_steps if spec.is_points else usual) / per_epoch))
    total = config.steps or math.ceil(epochs * per_epoch)
    usually = max(math.ceil(per_epoch), math.ceil(total / 20))
    save_every = max(usually, LEAST_BETWEEN_SAVES) if config.save_every is None else config.save_every
    eval_every = config.eval_every
    if eval_every is None:
        shown = total * batch_size * recipe.d_steps
        worth = config.best_metric != "auto" or (total > save_every and (spec.is_points or shown >= LEAST_EVALUATED))
        often = save_every if save_every < total else usually
        eval_every = often if worth and len(dataset.heldout) >= LEAST_HELDOUT else 0
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


def in_packs(images: int, recipe: Recipe) -> int:
    """So many images at most, as D judges them together."""
    return images - images % recipe.images_per_logit or images


def plan_of(config: TrainConfig, recipe: Recipe, dataset: DataSet) -> Plan:
    """The plan of a resolved configuration."""
    assert isinstance(config.batch_size, int)
    assert config.save_every is not None and config.sample_every is not None and config.eval_every is not None
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
        watch_every=config.watch_every,
    )


def spec_of(dataset: DataSet) -> Spec:
    """Shape and classes of the images."""
    _, channels, height, width = dataset.train.images.shape
    scale = dataset.mixture.scale if dataset.mixture else None
    return Spec(channels, height, width, len(dataset.classes), scale)


def _device_of(name: str, group: Group) -> str:
    """Under torchrun each process takes the CUDA device of its local rank."""
    on_cuda = name.startswith("cuda") or (name == "auto" and torch.cuda.is_available())
    return f"cuda:{group.local_rank}" if group.world > 1 and on_cuda else name


def _check(config: TrainConfig, recipe: Recipe, dataset: DataSet, group: Group) -> None:
    assert isinstance(config.batch_size, int)
    if config.batch_size > len(dataset.train):
        raise UsageError(
            f"--batch-size {config.batch_size} is more than the {len(dataset.train):,} training images of "
            f"{dataset.name}; use {len(dataset.train)} at most."
        )
    if config.batch_size % group.world:
        raise UsageError(f"--batch-size {config.batch_size} does not divide by the {group.world} processes.")
    if config.batch_size // group.world % recipe.images_per_logit:
        raise UsageError(
            f"--batch-size {config.batch_size}: D judges {recipe.images_per_logit} images together, which must divide "
            "the images of a batch" + (" in each process." if group.world > 1 else ".")
        )
    if config.accumulate > config.batch_size // group.world:
        raise UsageError(
            f"--accumulate {config.accumulate} is more than the {config.batch_size // group.world} images of a batch."
        )
    best_metric_of(config.best_metric, dataset)
    if config.eval_every and len(dataset.heldout) < LEAST_HELDOUT:
        raise UsageError(
            f"--eval-every {config.eval_every} needs {LEAST_HELDOUT} held-out images at least, and {dataset.name} has "
            f"{len(dataset.heldout)}; give more pictures or a larger --holdout."
        )
    spec = spec_of(dataset)
    if recipe.conditional and not dataset.classes:
        raise DataError(
            f"recipe {config.recipe} draws classes, and {dataset.name} has no labels; pictures in a folder for each "
            "class have them with --labels folder."
        )
    if spec.is_points and not recipe.draws_points:
        raise UsageError(f"recipe {config.recipe} draws pictures, and {dataset.name} has points in the plane.")
    if config.augment != "none" and (spec.is_points or not recipe.augmentable):
        what = dataset.name if spec.is_points else f"recipe {config.recipe}"
        raise UsageError(f"--augment {config.augment} makes no sense for {what}; leave it away.")


def _chosen(config: TrainConfig, asked: Recipe, fitted: Recipe) -> str:
    before, after = asdict(asked), asdict(fitted)
    chosen = {name: after[name] for name in after if after[name] != before[name]}
    chosen |= {"augment": config.augment} if config.augment != "none" else {}
    values = (f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in chosen.items())
    return f"{config.recipe}, fitted to the data: {', '.join(values)}" if chosen else config.recipe


def after_rollbacks(prepared: Prepared, count: int, group: Group) -> Prepared:
    """The same run from its first weights, with other draws and with its learning rates halved ``count`` times."""
    step = _build(prepared.config, prepared.recipe, prepared.dataset, prepared.device, group, count)
    step.state.rollbacks = count
    return replace(prepared, step=step)


def _build(
    config: TrainConfig, recipe: Recipe, dataset: DataSet, device: torch.device, group: Group, rollbacks: int = 0
) -> Step:
    assert isinstance(config.batch_size, int)
    seed = key(config.seed, "rollback", rollbacks) if rollbacks else config.seed
    state = training_state.create(recipe, spec_of(dataset), config.seed, device, config.precision)
    if config.batch_size == group.world and any(map(accumulation.normalises_batches, (state.g, state.d))):
        raise UsageError(
            f"--batch-size {config.batch_size}: recipe {config.recipe} normalises over the images of a batch, of which "
            f"there must be at least 2{' in each process' if group.world > 1 else ''}."
        )
    if config.freeze_d:
        try:
            freezing.freeze_lowest(recipe, spec_of(dataset), state.d, config.freeze_d, config.batch_size)
        except ValueError as error:
            raise UsageError(f"--freeze-d {config.freeze_d}: {error}.") from error
    train, classes = dataset.train, len(dataset.classes) if recipe.conditional else 0
    resident = isinstance(train.images, torch.Tensor) and devices.has_room(device, train.images.nbytes)
    real = ResidentImages(
        images=train.images.to(device) if resident else train.images,
        labels=train.labels.to(device) if resident and train.labels is not None else train.labels,
        batch_size=config.batch_size,
        seed=seed,
        rank=group.rank,
        world=group.world,
        mirror=config.mirror,
    )
    noise = Noise(recipe.latent_dim, classes, config.batch_size, seed, device, group.rank, group.world)
    share = partial(top_k_share, config.top_k, len(train))
    source = real if resident else PrefetchedImages(real, device)
    return Step(
        recipe, state, source, noise, config.precision, group, config.augment, share,
        rate_scale=0.5**rollbacks, average_is_new=config.init_from is None,
        accumulate=config.accumulate, compiled=config.compile == "on",
    )  # fmt: skip


def obstacle(config: TrainConfig, step: Step) -> str | None:
    """Why a batch cannot be worked through in parts with the same result; None if it can."""
    if config.top_k < 1:
        return "--top-k chooses among the whole batch"
    return accumulation.obstacle(step.recipe, step.state.g, step.state.d)


def top_k_share(least: float, images: int, images_seen: int) -> float:
    """Share of the fakes that G learns from: 1 at first, 1 % less each epoch, never under ``least`` (Sinha 2020)."""
    return max(least, 0.99 ** (images_seen // images))
