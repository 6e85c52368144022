"""From a configuration to something that can run: data, recipe, networks, device and plan, all checked."""

import logging
from dataclasses import asdict, dataclass, replace
from functools import partial

import torch

from gancli import recipes
from gancli.artifacts.network_file import Origin
from gancli.config import TrainConfig
from gancli.data import DataSet, Progress
from gancli.errors import UsageError
from gancli.machine import cores, devices, matmul, memory
from gancli.machine.distributed import Group
from gancli.randomness import key
from gancli.recipes.base import Recipe
from gancli.runs import compile_choice
from gancli.runs.resolve import check, device_of, load_data, plan_of, recipe_of, resolve, spec_of
from gancli.steps import accumulation, freezing
from gancli.steps import state as training_state
from gancli.steps.batches import Noise, ResidentImages
from gancli.steps.prefetching import PrefetchedImages
from gancli.steps.setup import Setup
from gancli.steps.step import Step, fastest_step
from gancli.training.loop import Plan

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
    chosen: str
    """The recipe and what it was left to choose, in words."""


def prepare(config: TrainConfig, group: Group, on_progress: Progress = lambda done, total: None) -> Prepared:
    """Check a configuration and build what it asks for; UsageError and DataError say what is wrong.

    ``on_progress`` hears how many pictures of how many are decoded, if any must be.
    """
    if config.recipe != recipes.AUTO:
        recipe_of(config)  # so that a typo is refused before any data are read
    device = devices.select(device_of(config.device, group))
    if config.deterministic:
        devices.make_deterministic(True)
    dataset = load_data(config, on_progress)
    spec = spec_of(dataset)
    torch.set_num_threads(config.threads or devices.default_threads(spec.height, spec.width))
    if config.recipe == recipes.AUTO:
        config = replace(config, recipe=recipes.default_for(spec))
    config = with_matmul(config, device, group)
    asked = recipe_of(config)
    config = resolve(config, asked, dataset, device)
    check(config, asked, dataset, group)
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
) -> compile_choice.Way:
    """Choose whether to compile; without being told only for one process and a step that is always the same."""
    if recipe.grows:
        if config.compile == "on":
            log.warning("compile: off, since the networks of recipe %s grow.", config.recipe)
        return "off"
    if config.compile == "auto" and (group.world > 1 or config.top_k < 1):
        return "off"

    def build(way: compile_choice.Way) -> Step:
        step = _build(replace(config, compile=way), recipe, dataset, device, group)
        return replace(step, setup=replace(step.setup, group=Group()))

    way = compile_choice.choose(config.compile, steps, build)
    memory.release(device)  # of the steps that were tried, which refer to themselves
    return way


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
    setup = Setup(
        recipe,
        source,
        noise,
        precision=config.precision,
        group=group,
        augmentation=config.augment,
        best_share=share,
        rate_scale=0.5**rollbacks,
        average_is_new=config.init_from is None,
        accumulate=config.accumulate,
    )
    return fastest_step(setup, state, compiled=config.compile == "on")


def obstacle(config: TrainConfig, step: Step) -> str | None:
    """Why a batch cannot be worked through in parts with the same result; None if it can."""
    if config.top_k < 1:
        return "--top-k chooses among the whole batch"
    return accumulation.obstacle(step.setup.recipe, step.state.g, step.state.d)


def top_k_share(least: float, images: int, images_seen: int) -> float:
    """Share of the fakes that G learns from: 1 at first, 1 % less each epoch, never under ``least`` (Sinha 2020)."""
    return max(least, 0.99 ** (images_seen // images))


def with_matmul(config: TrainConfig, device: torch.device, group: Group) -> TrainConfig:
    """The configuration with what multiplies float32 matrices filled in, which is used from now on.

    Told threads are set before, since the choice depends on them. A warning says where bfloat16 would be slower.
    """
    devices.prefer_speed(device, config.deterministic)
    config = replace(config, matmul=_library(config.matmul, device, group))
    if config.precision == "bf16" and device.type == "cpu" and (gain := matmul.bf16_gain()) < 1:
        log.warning(
            "--precision bf16: this processor multiplies bfloat16 at %.1f times the speed of float32; fp32 is faster.",
            gain,
        )
    return config


def _library(asked: str, device: torch.device, group: Group) -> matmul.Library:
    """What multiplies matrices on the CPU, the same in all processes."""
    library: matmul.Library = "onednn" if asked == "onednn" else "default"
    if asked == "auto" and device.type == "cpu" and group.agree(int(matmul.best(cores.processor()) == "onednn")):
        library = "onednn"
    if not matmul.use(library):
        log.warning("matmul onednn would round to bfloat16 on this machine: torch's default is used instead.")
        return "default"
    return library
