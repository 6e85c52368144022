"""Build a run from its configuration: data, recipe, networks and training step, on the device."""

import logging
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from gancli import recipes
from gancli.artifacts.lookup import start_called
from gancli.artifacts.network_file import Origin
from gancli.config import TrainConfig
from gancli.data import DataSet, Progress
from gancli.errors import UsageError
from gancli.machine import cores, devices, matmul, memory
from gancli.machine.distributed import Group
from gancli.randomness import key
from gancli.recipes.base import Spec
from gancli.runs import compile_choice, length, shared_autoencoder
from gancli.runs.feasible import require_effect, require_room
from gancli.runs.labels import labels_of
from gancli.runs.resolve import Resolved, batch_in_words, device_of, load_data, recipe_of, resolve, spec_of
from gancli.steps import accumulation, freezing, switches
from gancli.steps import state as training_state
from gancli.steps.batches import Noise, ResidentImages
from gancli.steps.prefetching import PrefetchedImages
from gancli.steps.setup import RealImages, Setup
from gancli.steps.state import TrainState
from gancli.steps.step import Step, fastest_step

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """Everything that a run needs except its folder."""

    resolved: Resolved
    origin: Origin
    step: Step


def prepare(config: TrainConfig, group: Group, on_progress: Progress = lambda done, total: None) -> Prepared:
    """Check a configuration and build its run.

    ``on_progress`` is called with the number of decoded pictures and their total.

    Raises:
        UsageError, DataError: a setting or the data are wrong.
    """
    if config.recipe != recipes.AUTO:
        recipe_of(config)  # refuse a typo before reading data
    if config.init_from:
        config = replace(config, init_from=str(start_called(config.init_from, Path(config.out))))
    device = devices.select(device_of(config.device, group))
    if config.deterministic:
        devices.make_deterministic(True)
    dataset = load_data(config, on_progress)
    spec = spec_of(dataset)
    torch.set_num_threads(config.threads or devices.default_threads(spec.height, spec.width))
    if config.autoencoder and not config.hyperparameters.get("trained"):  # a run that resumes has taken it over
        config = shared_autoencoder.taken_over(config, spec)
    if config.recipe == recipes.AUTO:
        config = replace(config, recipe=recipes.default_for(spec, config.augment not in ("auto", "none")))
    config = with_matmul(config, device, group)
    wanted = config.time
    if wanted is not None:
        usual = _feasible(replace(config, time=None), dataset, spec, device, group)
        config = length.in_time(config, usual, build)
    resolved = _feasible(config, dataset, spec, device, group)
    if wanted is not None and config.eval_every is None:
        resolved = length.with_few_evaluations(resolved, wanted)
    resolved = _with_compile(resolved, _compile_or_not(resolved))
    config, step = resolved.config, build(resolved)
    if config.accumulate > 1 and (reason := obstacle(config, step)):
        raise UsageError(
            f"--accumulate {config.accumulate} would not give the result of the whole batch with recipe "
            f"{config.recipe}: {reason}; use a smaller --batch-size."
        )
    hyperparameters = asdict(resolved.recipe)
    origin = Origin(
        config.recipe, hyperparameters, spec, dataset.classes, dataset.name, dataset.fingerprint, dataset.options,
        dataset.conditions,
    )  # fmt: skip
    return Prepared(resolved, origin, step)


def _feasible(config: TrainConfig, dataset: DataSet, spec: Spec, device: torch.device, group: Group) -> Resolved:
    """The resolved configuration; UsageError or OutOfMemory if its networks would be senseless or too large."""
    resolved, asked = resolve(config, dataset, spec, device, group), recipe_of(config)
    require_effect(resolved, asked)
    require_room(resolved, asked)
    return resolved


def _with_compile(resolved: Resolved, way: compile_choice.Way) -> Resolved:
    return replace(resolved, config=replace(resolved.config, compile=way))


def _compile_or_not(resolved: Resolved) -> compile_choice.Way:
    """Decide whether to compile; ``auto`` compiles only in one process, and only a step that never changes."""
    config = resolved.config
    if resolved.recipe.grows:
        if config.compile == "on":
            log.warning("compile: off, since the networks of recipe %s grow.", config.recipe)
        return "off"
    if config.compile == "auto" and (resolved.group.world > 1 or config.top_k < 1):
        return "off"

    def build_alone(way: compile_choice.Way) -> Step:
        step = build(_with_compile(resolved, way))
        return replace(step, setup=replace(step.setup, group=Group()))

    way = compile_choice.choose(config.compile, resolved.plan.total_steps, build_alone)
    memory.release(resolved.device)  # the tried steps contain reference cycles
    return way


def after_rollbacks(prepared: Prepared, count: int) -> Prepared:
    """The run at its initial weights, with other random draws and learning rates halved ``count`` times."""
    step = build(prepared.resolved, count)
    step.state.rollbacks = count
    return replace(prepared, step=step)


def build(resolved: Resolved, rollbacks: int = 0) -> Step:
    """A new step with initial weights, for a run that has rolled back ``rollbacks`` times."""
    config, recipe, group = resolved.config, resolved.recipe, resolved.group
    assert isinstance(config.batch_size, int)
    state = _new_state(resolved)
    seed = key(config.seed, "rollback", rollbacks) if rollbacks else config.seed
    labels = labels_of(recipe, resolved.dataset, resolved.dataset.train)
    setup = Setup(
        recipe,
        _real_images(resolved, labels, seed),
        _noise(resolved, labels, seed),
        precision=config.precision,
        group=group,
        augmentation=config.augment,
        best_share=partial(top_k_share, config.top_k, resolved.plan.images),
        rate_scale=0.5**rollbacks,
        average_is_new=config.init_from is None,
        accumulate=config.accumulate,
    )
    return fastest_step(setup, state, compiled=config.compile == "on")


def _new_state(resolved: Resolved) -> TrainState:
    """New networks, with the lowest layers of D frozen if ``freeze_d`` is set."""
    config, recipe, spec, world = resolved.config, resolved.recipe, resolved.spec, resolved.group.world
    assert isinstance(config.batch_size, int)
    try:
        state = training_state.create(recipe, spec, config.seed, resolved.device, config.precision)
    except switches.Unsuitable as error:
        raise UsageError(f"recipe {config.recipe}: {error}.") from error
    if config.batch_size == world and any(map(accumulation.normalises_batches, (state.g, state.d))):
        raise UsageError(
            f"{batch_in_words(config, resolved.dataset)}: recipe {config.recipe} normalises over the images of a "
            f"batch, of which there must be at least 2{' in each process' if world > 1 else ''}."
        )
    if config.freeze_d:
        try:
            freezing.freeze_lowest(recipe, spec, state.d, config.freeze_d, config.batch_size)
        except ValueError as error:
            raise UsageError(f"--freeze-d {config.freeze_d}: {error}.") from error
    return state


def _noise(resolved: Resolved, labels: Tensor | None, seed: int) -> Noise:
    config, recipe, group = resolved.config, resolved.recipe, resolved.group
    assert isinstance(config.batch_size, int)
    latents, classes = recipe.latent_values(resolved.spec), resolved.spec.classes if recipe.conditional else 0
    conditions = labels.to(resolved.device) if labels is not None and resolved.dataset.conditions else None
    return Noise(latents, classes, config.batch_size, seed, resolved.device, group.rank, group.world, conditions)


def _real_images(resolved: Resolved, labels: Tensor | None, seed: int) -> RealImages:
    """The training images, on the device if they fit there, else loaded ahead of time."""
    config, group, device, train = resolved.config, resolved.group, resolved.device, resolved.dataset.train
    assert isinstance(config.batch_size, int)
    resident = isinstance(train.images, Tensor) and devices.has_room(device, train.images.nbytes)
    real = ResidentImages(
        images=train.images.to(device) if resident else train.images,
        labels=labels.to(device) if resident and labels is not None else labels,
        batch_size=config.batch_size,
        seed=seed,
        rank=group.rank,
        world=group.world,
        mirror=config.mirror,
    )
    return real if resident else PrefetchedImages(real, device)


def obstacle(config: TrainConfig, step: Step) -> str | None:
    """The reason why a step in parts would give another result; None if it would not."""
    if config.top_k < 1:
        return "--top-k chooses among the whole batch"
    return accumulation.obstacle(step.setup.recipe, step.state.g, step.state.d)


def top_k_share(least: float, images: int, images_seen: int) -> float:
    """Share of the fakes that G learns from (Sinha 2020): 1 at first, 1 % less each epoch, at least ``least``."""
    return max(least, 0.99 ** (images_seen // images))


def with_matmul(config: TrainConfig, device: torch.device, group: Group) -> TrainConfig:
    """Choose and activate the library for float32 matrix products; returns the completed configuration.

    Set the number of threads before, since the choice depends on it. Warns if bfloat16 would be slower.
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
    """The library for matrix products on the CPU, the same in all processes."""
    library: matmul.Library = "onednn" if asked == "onednn" else "default"
    if asked == "auto" and device.type == "cpu" and group.agree(int(matmul.best(cores.processor()) == "onednn")):
        library = "onednn"
    if not matmul.use(library):
        log.warning("matmul onednn would round to bfloat16 on this machine: torch's default is used instead.")
        return "default"
    return library
