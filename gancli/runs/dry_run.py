"""What a run would be and take, found out without training."""

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


@dataclass(frozen=True)
class DryRun:
    """What a run would be: the resolved configuration, sizes, and what a few steps measured."""

    config: TrainConfig
    images: int
    heldout: int
    steps: int
    epochs: float
    generator_parameters: int
    discriminator_parameters: int
    memory_bytes: int
    """Peak of the device, or of the process on the CPU, while they ran."""
    seconds: float
    """Estimate for all steps, without evaluation."""


def dry_run(config: str | Path | TrainConfig | None = None, *, settings: Sequence[str] = (), **options: Any) -> DryRun:
    """Check everything, build the networks and run a few steps; trains and writes nothing."""
    with global_state.restored():
        prepared = batch_size.prepare_measured(asked_for(config, settings, options), Group())
        resume.start(prepared, None)
        seconds = _seconds(prepared)
    plan, state = prepared.plan, prepared.step.state
    count = [sum(p.numel() for p in network.parameters()) for network in (state.g, state.d)]
    return DryRun(
        config=prepared.config,
        images=len(prepared.dataset.train),
        heldout=len(prepared.dataset.heldout),
        steps=plan.total_steps,
        epochs=plan.total_steps * plan.images_per_step / plan.images,
        generator_parameters=count[0],
        discriminator_parameters=count[1],
        memory_bytes=devices.peak_memory(prepared.device),
        seconds=seconds,
    )


def _seconds(prepared: Prepared) -> float:
    """Seconds of all steps, after the first ones, which also build kernels and compile."""
    parts = length.parts_of(prepared.resolved.recipe, prepared.resolved.plan)
    tried = compile_choice.TRIED if prepared.resolved.config.compile == "on" else 1
    seconds = [part.usual for part in length.timed(prepared.step, parts, tried)]
    return sum(part.steps * each for part, each in zip(parts, seconds, strict=True))
