"""Estimate the time of a run from timed steps, and the number of steps that fit into a time."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

import torch

from gancli.config import TrainConfig, parse_duration
from gancli.data import Split
from gancli.machine import devices
from gancli.machine.distributed import Group
from gancli.recipes.base import Recipe
from gancli.runs import waiting
from gancli.runs.compile_choice import seconds_of
from gancli.runs.resolve import Resolved, recipe_of
from gancli.steps.stages import borders
from gancli.steps.step import Step
from gancli.training.loop import Plan

log = logging.getLogger(__name__)
PLACES = 9
"""Places of a run at which networks that grow are timed."""
SHARE_OF_STEPS = 0.9
"""Share of a run's time for steps; the rest is for evaluations, samples and checkpoints."""
BETWEEN_EVALUATIONS, MIN_EVALUATIONS = 600.0, 3
"""Seconds of a run's time for each evaluation unless ``eval_every`` is given, so that they take a small part of it."""
ROUNDS = 3
"""Timings of a step at least, of which the median counts."""
SHARE_OF_TIMING, MAX_TIMING = 0.01, 30.0
"""Steps are timed for this share of a run's time, or so many seconds, lest a busy moment decides its length."""
MAX_IMAGES = 256
"""Training images that the timed steps draw from, so that a stage which encodes them all begins at once."""


@dataclass(frozen=True)
class Part:
    """A part of a run, whose steps take about the same time."""

    begins: int
    """Its first step."""
    steps: int
    stage: str = ""
    """Name of the stage of which it is all; empty in a run without stages."""
    encodes: bool = False
    """True if its first step encodes all training images."""


def parts_of(recipe: Recipe, plan: Plan) -> list[Part]:
    """A run's stages; equal parts of it where the networks grow; else all of it."""
    total = plan.total_steps
    if not recipe.has_stages:
        places = min(PLACES, total) if recipe.grows else 1
        edges = [round(total * place / places) for place in range(places + 1)]
        return [Part(first, last - first) for first, last in pairwise(edges)]
    stages = borders(recipe, plan.images_per_step, total)
    ends = [first for first, _ in stages[1:]] + [total]
    return [
        Part(first, end - first, stage.name, stage.encoder is not None)
        for (first, stage), end in zip(stages, ends, strict=True)
    ]


@dataclass(frozen=True)
class Timed:
    """Seconds of a part's steps."""

    first: float
    """The first one, which also builds kernels, and encodes the training images where the stage wants that."""
    usual: float
    """Each of the others: a median."""


def timed(step: Step, parts: Sequence[Part], tried: int = 1, rounds: int = 1, seconds: float = 0.0) -> list[Timed]:
    """Time the steps of each part, after ``tried`` of them: ``rounds`` times, and for so many ``seconds`` at least.

    Networks that grow are as they are at a part's end, where they take most. With lazy terms one round over all of them
    counts. The state trains on and is of no use afterwards.
    """
    cycle = step.setup.recipe.cycle
    rounds = rounds if cycle == 1 else 1
    each_timed: list[Timed] = []
    for place, part in enumerate(parts, start=1):
        step.state.step = max(step.state.step, part.begins if part.stage else part.begins + part.steps - 1)
        with waiting.told(f"timing steps of part {place} of {len(parts)} of the run"):
            first = _seconds_of_first(step)
            for _ in range(tried - 1):
                step()
            began, timings = time.perf_counter(), list[float]()
            while len(timings) < rounds or time.perf_counter() - began < seconds:
                timings.append(seconds_of(step, cycle))
        each_timed.append(Timed(first, median(timings)))
    return each_timed


def _seconds_of_first(step: Step) -> float:
    began = time.perf_counter()
    step()
    devices.synchronise(step.setup.noise.device)
    return time.perf_counter() - began


def in_time(config: TrainConfig, usual: Resolved, build: Callable[[Resolved], Step]) -> TrainConfig:
    """The configuration with ``steps`` in place of ``time``, and with the length of the recipe's first stage.

    ``usual`` is what it would be without ``time``; ``build`` makes a new step, whose state is used up.
    """
    assert config.time is not None
    wanted = parse_duration(config.time)
    encoding, seconds = _measured(usual, build, min(SHARE_OF_TIMING * wanted, MAX_TIMING))
    asked = recipe_of(config)
    asked = asked.continued() if config.init_from else asked
    recipe, steps = asked.lasting(max(0.0, SHARE_OF_STEPS * wanted - encoding), seconds, usual.plan.images_per_step)
    chosen = dict(config.hyperparameters) | recipe.changes_from(asked)
    config = replace(config, time=None, steps=steps, hyperparameters=chosen)
    log.info("time: %s", _in_words(recipe, replace(usual.plan, total_steps=steps), usual, seconds))
    return config


def with_few_evaluations(resolved: Resolved, wanted: str) -> Resolved:
    """The run with evaluations so far apart that they take a small part of the time, if there are any."""
    if not resolved.plan.eval_every:
        return resolved
    evaluations = max(MIN_EVALUATIONS, round(parse_duration(wanted) / BETWEEN_EVALUATIONS))
    apart = max(resolved.plan.eval_every, math.ceil(resolved.plan.total_steps / evaluations))
    config, plan = replace(resolved.config, eval_every=apart), replace(resolved.plan, eval_every=apart)
    return replace(resolved, config=config, plan=plan)


def _measured(usual: Resolved, build: Callable[[Resolved], Step], seconds: float) -> tuple[float, list[float]]:
    """Seconds for encoding all images where a stage wants that, and for a step of each part; alike in all processes.

    All timings together take about ``seconds``, or longer where steps do.
    """
    few = _on_few_images(usual)
    step = build(few)
    step = replace(step, setup=replace(step.setup, group=Group()))
    parts = parts_of(usual.recipe, usual.plan)
    each_timed = timed(step, parts, rounds=ROUNDS, seconds=seconds / len(parts))
    encoding = sum(max(0.0, it.first - it.usual) for part, it in zip(parts, each_timed, strict=True) if part.encodes)
    encoding *= len(usual.dataset.train) / len(few.dataset.train)

    def agreed(seconds: float) -> float:
        return (usual.group.agree(round(1e6 * seconds)) or 0) / 1e6

    return agreed(encoding), [max(1e-6, agreed(it.usual)) for it in each_timed]


def _in_words(recipe: Recipe, plan: Plan, usual: Resolved, seconds: Sequence[float]) -> str:
    parts = parts_of(recipe.fitted(usual.spec, plan.images, plan.total_steps * plan.images_per_step), plan)
    if recipe.has_stages:
        told = [
            f"{part.steps:,} steps of {part.stage} at {each:.3g} s" for part, each in zip(parts, seconds, strict=True)
        ]
    else:
        told = [f"{plan.total_steps:,} steps at {sum(seconds) / len(seconds):.3g} s"]
    return f"{' and '.join(told)} fit, and a tenth of it is left for evaluations"


def _on_few_images(resolved: Resolved) -> Resolved:
    """The same run on a part of its images: a step takes as long, and a stage that encodes all of them soon begins."""
    train, batch = resolved.dataset.train, resolved.config.batch_size
    assert isinstance(batch, int)
    few = slice(max(MAX_IMAGES, batch))
    labels, conditions = (None if each is None else each[few] for each in (train.labels, train.conditions))
    images = Split(torch.as_tensor(train.images[few]), labels, conditions)
    return replace(resolved, dataset=replace(resolved.dataset, train=images))
