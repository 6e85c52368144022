"""What a run would be and take, found out without training."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from gancli.config import TrainConfig
from gancli.machine import devices, global_state
from gancli.machine.distributed import Group
from gancli.runs import batch_size, compile_choice, resume
from gancli.runs.prepare import Prepared
from gancli.runs.resolve import asked_for

STAGES = 9
"""Places of a run at which networks that grow are timed."""


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
        seconds = _time_a_step(prepared)
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
        seconds=seconds * plan.total_steps,
    )


def _time_a_step(prepared: Prepared) -> float:
    """Mean seconds of a step, after the first ones, which also build kernels and compile.

    Networks that grow are timed all along the run, the last time as they are at its end, which takes most memory.
    """
    step, total = prepared.step, prepared.plan.total_steps
    seconds = []
    for place in range(STAGES) if prepared.recipe.grows else (0,):
        step.state.step = max(step.state.step, round(total * place / (STAGES - 1)))
        for _ in range(compile_choice.TRIED if prepared.config.compile == "on" else 1):
            step()
        seconds.append(compile_choice.seconds_of(step))
    return mean(seconds)
