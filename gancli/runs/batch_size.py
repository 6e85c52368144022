"""Find the largest batch that fits by running real steps; explain out-of-memory errors."""

import logging
import math
import re
from dataclasses import replace

from gancli.config import TrainConfig
from gancli.data import Progress
from gancli.errors import OutOfMemory, UsageError, is_out_of_memory
from gancli.machine import devices, memory
from gancli.machine.distributed import Group
from gancli.runs import waiting
from gancli.runs.prepare import Prepared, obstacle, prepare
from gancli.runs.resolve import in_packs
from gancli.steps.prefetching import PrefetchedImages, source_of
from gancli.steps.step import Step, fastest_step

log = logging.getLogger(__name__)
MIN_IMAGES = 4
"""The smallest batch to try; batch normalisation needs a few images."""


def prepare_measured(config: TrainConfig, group: Group, on_progress: Progress = lambda done, total: None) -> Prepared:
    """Like `prepare`, with ``batch_size = "auto"`` replaced by a batch that fits, by measurement.

    It is the recipe's batch, in parts if necessary; a smaller one if parts would give another result.
    """
    if config.batch_size == "auto":
        if group.world > 1 or config.accumulate > 1:
            flag = "several processes" if group.world > 1 else "--accumulate"
            raise UsageError(f"--batch-size auto measures a step by itself and does not go with {flag}; give a number.")
        config = _measured(config, group, on_progress)
    return prepare(config, group, on_progress)


def _measured(config: TrainConfig, group: Group, on_progress: Progress) -> TrainConfig:
    prepared = prepare(replace(config, batch_size=None, compile="off"), group, on_progress)
    resolved, batch = prepared.resolved, prepared.step.setup.noise.batch_size
    reason = obstacle(resolved.config, prepared.step)
    with waiting.told("--batch-size auto: trying batches"):
        fits = largest(prepared, batch)
    if not fits:
        raise OutOfMemory(
            f"out of memory: on {resolved.device} not even {sizes(batch)[0]} images fit at once; try a smaller "
            "--image-size or --precision bf16."
        )
    config = replace(config, device=resolved.config.device)
    if fits == batch:
        log.info("batch size: %d, of which a step fits (--batch-size auto)", batch)
        return replace(config, batch_size=batch)
    if reason is None:
        parts = math.ceil(batch / fits)
        log.info("batch size: %d, in %d parts, since %d images fit at once (--batch-size auto)", batch, parts, fits)
        return replace(config, batch_size=batch, accumulate=parts)
    fits = in_packs(fits, resolved.recipe)
    log.warning("batch size: %d, since no more fit at once, and parts would not do: %s.", fits, reason)
    return replace(config, batch_size=fits)


def sizes(images: int) -> list[int]:
    """This number of images, half of it, a quarter and so on, at least `MIN_IMAGES`; the smallest first."""
    counts = [images]
    while counts[0] // 2 >= MIN_IMAGES:
        counts.insert(0, counts[0] // 2)
    return counts


def largest(prepared: Prepared, images: int) -> int:
    """The largest of `sizes` whose step fits into memory at the end of the run; 0 if none does.

    The steps train the networks of ``prepared``, so it cannot be used afterwards.
    """
    step, device = prepared.step, prepared.resolved.device
    step.state.step = prepared.resolved.plan.total_steps  # where growing networks are largest
    step.state.step += -(step.state.step - 1) % step.setup.recipe.cycle  # where all lazy terms are due
    before = memory.held() if device.type == "cpu" and memory.reset_peak() else None
    fits = 0
    for count in sizes(images):
        room = memory.free(device)
        if fits and before is not None and room is not None:
            wanted = (memory.peak() - before) * count / fits
            if before + wanted > memory.held() + room:
                break
        if not _fits(_of(prepared, count)):
            break
        fits = count
    memory.release(device)
    return fits


def _fits(step: Step) -> bool:
    try:
        for _ in range(2):  # the first step allocates the optimizers' state
            step()
        devices.synchronise(step.setup.noise.device)  # raises errors of kernels that still run
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return False
    return True


def _of(prepared: Prepared, images: int) -> Step:
    """The same step in one process, with this many images at once."""
    setup, resolved = prepared.step.setup, prepared.resolved
    source = source_of(setup.real)
    alone = replace(source, batch_size=images, rank=0, world=1)
    setup = replace(
        setup,
        real=alone if source is setup.real else PrefetchedImages(alone, resolved.device),
        noise=replace(setup.noise, batch_size=images, rank=0, world=1),
        group=Group(),
        accumulate=1,
    )
    return fastest_step(setup, prepared.step.state, compiled=resolved.config.compile == "on")


def failure(prepared: Prepared, said: str) -> OutOfMemory:
    """The error for a step that was too large; tries steps to name a flag that makes it fit."""
    resolved, step, noise = prepared.resolved, prepared.step, prepared.step.setup.noise
    local = math.ceil(noise.batch_size / noise.world / step.setup.accumulate)
    memory.release(resolved.device)
    fits = 0 if noise.world > 1 else largest(prepared, local)
    wanted = re.search(r"tried to allocate [\d.]+ ?\w+", said, re.IGNORECASE)
    where = (
        f"out of memory on {resolved.device} with {local} images at once ({(wanted[0] if wanted else said).lower()})"
    )
    if fits == local:
        rest = "A step alone fits: let nothing else use the memory, or look less often (--eval-every, --sample-every)."
    elif fits:
        reason = obstacle(resolved.config, step)
        parts = math.ceil(noise.batch_size / fits)
        rest = (
            f"{fits} fit: --batch-size {fits} (--accumulate would not give the same result: {reason})."
            if reason
            else f"{fits} fit: --accumulate {parts} gives the same result, also with --resume."
        )
    else:
        rest = "Try a smaller --batch-size or --image-size, or --precision bf16."
    return OutOfMemory(f"{where}. {rest}")
