"""The plan and the cost of a run, measured without training it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gancli.config import TrainConfig
from gancli.machine import devices, global_state
from gancli.machine.distributed import Group
from gancli.runs import batch_size, compile_choice, length, resume
from gancli.runs.prepare import Prepared
from gancli.runs.resolve import asked_for

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DryRun:
    """The resolved configuration of a run, its sizes, and measurements of a few steps."""

    config: TrainConfig
    images: int
    heldout: int
    steps: int
    epochs: float
    generator_parameters: int
    discriminator_parameters: int
    memory_bytes: int
    """Peak memory of the device, or on the CPU of the process, during these steps."""
    seconds: float
    """Estimate for the whole run, without evaluations."""


def dry_run(config: str | Path | TrainConfig | None = None, *, settings: Sequence[str] = (), **options: Any) -> DryRun:
    """Check all settings, build the networks and run a few steps; writes nothing."""
    with global_state.restored():
        prepared = batch_size.prepare_measured(asked_for(config, settings, options), Group())
        resume.start(prepared, None)
        log.info("dry run: timing a few steps on %s", prepared.resolved.device)
        seconds = _seconds(prepared)
    resolved, state = prepared.resolved, prepared.step.state
    plan = resolved.plan
    count = [sum(p.numel() for p in network.parameters()) for network in (state.g, state.d)]
    return DryRun(
        config=resolved.config,
        images=len(resolved.dataset.train),
        heldout=len(resolved.dataset.heldout),
        steps=plan.total_steps,
        epochs=plan.total_steps * plan.images_per_step / plan.images,
        generator_parameters=count[0],
        discriminator_parameters=count[1],
        memory_bytes=devices.peak_memory(resolved.device),
        seconds=seconds,
    )


def _seconds(prepared: Prepared) -> float:
    """Seconds of all steps; not counted are the first ones, which also compile."""
    parts = length.parts_of(prepared.resolved.recipe, prepared.resolved.plan)
    tried = compile_choice.TRIED if prepared.resolved.config.compile == "on" else 1
    seconds = [part.usual for part in length.timed(prepared.step, parts, tried)]
    return sum(part.steps * each for part, each in zip(parts, seconds, strict=True))
