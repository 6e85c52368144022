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
from gancli.runs.prepare import Prepared, obstacle, prepare
from gancli.runs.resolve import in_packs
from gancli.steps.prefetching import PrefetchedImages, source_of
from gancli.steps.step import Step, fastest_step

log = logging.getLogger(__name__)
MIN_IMAGES = 4
"""The smallest batch to try; layers that normalise over the batch need a few images."""


def prepare_measured(config: TrainConfig, group: Group, on_progress: Progress = lambda done, total: None) -> Prepared:
    """Like `prepare`, with ``batch_size = "auto"`` replaced by a batch that was measured to fit.

    That is the recipe's batch, in parts if need be; a smaller one where parts would not give the same result.
    """
    if config.batch_size == "auto":
        if group.world > 1 or config.accumulate > 1:
            flag = "several processes" if group.world > 1 else "--accumulate"
            raise UsageError(f"--batch-size auto measures a step by itself and does not go with {flag}; give a number.")
        config = _measured(config, group, on_progress)
    return prepare(config, group, on_progress)


def _measured(config: TrainConfig, group: Group, on_progress: Progress) -> TrainConfig:
    prepared = prepare(replace(config, batch_size=None, compile="off"), group, on_progress)
    batch, reason = prepared.step.setup.noise.batch_size, obstacle(prepared.config, prepared.step)
    fits = largest(prepared, batch)
    if not fits:
        raise OutOfMemory(
            f"out of memory: on {prepared.device} not even {sizes(batch)[0]} images fit at once; try a smaller "
            "--image-size or --precision bf16."
        )
    config = replace(config, device=prepared.config.device)
    if fits == batch:
        log.info("batch size: %d, of which a step fits (--batch-size auto)", batch)
        return replace(config, batch_size=batch)
    if reason is None:
        parts = math.ceil(batch / fits)
        log.info("batch size: %d, in %d parts, since %d images fit at once (--batch-size auto)", batch, parts, fits)
        return replace(config, batch_size=batch, accumulate=parts)
    fits = in_packs(fits, prepared.recipe)
    log.warning("batch size: %d, since no more fit at once, and parts would not do: %s.", fits, reason)
    return replace(config, batch_size=fits)


def sizes(images: int) -> list[int]:
    """This number of images, the half, the quarter and so on; the smallest first."""
    found = [images]
    while found[0] // 2 >= MIN_IMAGES:
        found.insert(0, found[0] // 2)
    return found


def largest(prepared: Prepared, images: int) -> int:
    """The largest of `sizes` whose step fits, with the networks as they are at the end of the run; 0 if none does.

    The steps train ``prepared``'s networks, which cannot be used afterwards.
    """
    step, device = prepared.step, prepared.device
    step.state.step = prepared.plan.total_steps  # networks that grow have grown
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
        for _ in range(2):  # the optimizers' memory begins with the first
            step()
        devices.synchronise(step.setup.noise.device)  # errors of kernels that are still under way come here
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return False
    return True


def _of(prepared: Prepared, images: int) -> Step:
    """The same step in one process, with this many images at once."""
    setup, device = prepared.step.setup, prepared.device
    source = source_of(setup.real)
    alone = replace(source, batch_size=images, rank=0, world=1)
    setup = replace(
        setup,
        real=alone if source is setup.real else PrefetchedImages(alone, device),
        noise=replace(setup.noise, batch_size=images, rank=0, world=1),
        group=Group(),
        accumulate=1,
    )
    return fastest_step(setup, prepared.step.state, compiled=prepared.config.compile == "on")


def failure(prepared: Prepared, said: str) -> OutOfMemory:
    """The error after a step was too large, with the flag that makes it fit, found by trying."""
    step, noise = prepared.step, prepared.step.setup.noise
    local = math.ceil(noise.batch_size / noise.world / step.setup.accumulate)
    memory.release(prepared.device)
    fits = 0 if noise.world > 1 else largest(prepared, local)
    wanted = re.search(r"tried to allocate [\d.]+ ?\w+", said, re.IGNORECASE)
    where = (
        f"out of memory on {prepared.device} with {local} images at once ({(wanted[0] if wanted else said).lower()})"
    )
    if fits == local:
        rest = "A step alone fits: let nothing else use the memory, or look less often (--eval-every, --sample-every)."
    elif fits:
        reason = obstacle(prepared.config, step)
        parts = math.ceil(noise.batch_size / fits)
        rest = (
            f"{fits} fit: --batch-size {fits} (--accumulate would not give the same result: {reason})."
            if reason
            else f"{fits} fit: --accumulate {parts} gives the same result, also with --resume."
        )
    else:
        rest = "Try a smaller --batch-size or --image-size, or --precision bf16."
    return OutOfMemory(f"{where}. {rest}")
