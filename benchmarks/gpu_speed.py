"""How fast steps are on a GPU, way by way and beside the loops that people copy, and how long it waits for pictures."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from example_loops import batches, dcgan, resident_batches
from gpu_rows import Asked, Row, Tasks
from gpu_steps import arithmetic, as_traced, ways_of
from step_timing import Case, flops, gancli_step, in_turns, peaks, pictures

from gancli.config import TrainConfig
from gancli.machine.distributed import Group
from gancli.recipes.base import Spec
from gancli.runs.prepare import prepare
from gancli.runs.resolve import load_data
from gancli.steps.batches import ResidentImages
from gancli.steps.prefetching import PrefetchedImages

RESIDUAL = {"network": "residual"}
CASES = {
    "dcgan 64": Case("dcgan", Spec(3, 64, 64), dcgan, 0),
    "dcgan 64, batch 512": Case("dcgan", Spec(3, 64, 64), dcgan, 0, batch_size=512),
    "r3gan 64 residual": Case("r3gan", Spec(3, 64, 64), None, 0, RESIDUAL),
    "r3gan 32 residual": Case("r3gan", Spec(3, 32, 32), None, 0, RESIDUAL),
    "fastgan 256": Case("fastgan", Spec(3, 256, 256), None, 0, batch_size=8),
    "r3gan 64 residual, width 256": Case("r3gan", Spec(3, 64, 64), None, 0, RESIDUAL | {"width": 256}),
}
TINY = {
    "dcgan 32": Case("dcgan", Spec(3, 32, 32), dcgan, 0, {"width": 8}, batch_size=4),
    "r3gan 16 residual": Case("r3gan", Spec(3, 16, 16), None, 0, RESIDUAL | {"width": 16}, batch_size=4),
}
FAST, EXACT = ("bf16", "tf32"), ("fp32",)
"""Arithmetic, by how much it rounds."""
ROUNDS = 5
SECONDS_A_ROUND = 0.15


def speed(asked: Asked) -> Tasks:
    """The quick ones of every case first, then what takes the compiler's time; last what matters least."""
    cases = TINY if asked.tiny else CASES
    tasks: Tasks = {f"{name}, example": partial(_example, case, asked) for name, case in cases.items() if case.example}
    for chosen, way in ((FAST, "traced"), (EXACT, "traced"), (FAST, "compiled"), (EXACT, "compiled")):
        for name, case in cases.items() if way == "traced" or not asked.tiny else ():
            tasks |= {f"{name}, {each}, {way}": partial(_gancli, case, each, way, asked) for each in chosen}
    return tasks


def _example(case: Case, asked: Asked) -> Row:
    """With TF32 in convolutions, as torch has them unless told otherwise; these networks have no other products."""
    assert case.example
    images = pictures(case.spec)
    resident = resident_batches(images.to(asked.device), case.batch_size)
    with arithmetic("tf32"):
        steps = {
            "example": case.example(images, asked.device, batches(images, case.batch_size)),  # type: ignore[call-arg]
            "example, images on the device": case.example(images, asked.device, resident),  # type: ignore[call-arg]
        }
        return _timed(steps, case, asked)


def _gancli(case: Case, name: str, way: str, asked: Asked) -> Row:
    precision = "bf16" if name == "bf16" else "fp32"
    images = pictures(case.spec)
    with arithmetic(name):
        steps = ways_of(gancli_step(case, images, asked.device, f"{precision} compiled"), way)
        fast = gancli_step(case, images, asked.device, precision)
        operations = flops(fast)
        if way == "traced":
            plain = replace(gancli_step(case, images, asked.device, precision), plain=True)
            steps = {"plain": plain, "fast": fast} | steps
        row = _timed(steps, case, asked)
        limits = _peaks(name, asked)
    rates = {each: operations / ms / 1e9 for each, ms in row["milliseconds"].items()}
    return row | {
        "gflop": round(operations / 1e9, 3),
        "tflop_per_s": {each: round(rate, 2) for each, rate in rates.items()},
        "peak_tflop_per_s": {limit: round(rate, 1) for limit, rate in limits.items()},
        "share_of_peak": {
            limit: {each: round(rate / of, 3) for each, rate in rates.items()} for limit, of in limits.items()
        },
    }


def _timed(steps: dict[str, Callable[[], object]], case: Case, asked: Asked) -> Row:
    """Median milliseconds of a step of each, in turns that are long enough for the clock, and images a second."""
    counts = {}
    for name, step in steps.items():
        once = in_turns({name: step}, 1, 3, asked.device)[name]  # whose first round warms up
        counts[name] = 1 if asked.tiny else max(2, min(200, round(SECONDS_A_ROUND / once)))
    repeated = {name: partial(_repeat, step, counts[name]) for name, step in steps.items()}
    rounds = in_turns(repeated, 1 if asked.tiny else ROUNDS, 1, asked.device)
    seconds = {name: value / counts[name] for name, value in rounds.items()}
    return {
        "batch_size": case.batch_size,
        "milliseconds": {name: round(1e3 * value, 4) for name, value in seconds.items()},
        "images_per_s": {name: round(case.batch_size / value) for name, value in seconds.items()},
    }


def _repeat(step: Callable[[], object], count: int) -> None:
    for _ in range(count):
        step()


_known_peaks: dict[str, dict[str, float]] = {}


def _peaks(name: str, asked: Asked) -> dict[str, float]:
    """TFLOP/s of a large product and of a large convolution in the arithmetic that is set, measured once."""
    if name not in _known_peaks:
        work = peaks(asked.device, torch.bfloat16 if name == "bf16" else torch.float32)
        seconds = in_turns(work, ROUNDS, 1 if asked.tiny else 10, asked.device)
        _known_peaks[name] = {each.split()[1]: flops(work[each]) / seconds[each] / 1e12 for each in work}
    return _known_peaks[name]


def idle(asked: Asked) -> Tasks:
    """The same step with its images on the device, and as they come from the cache or from the decoder."""
    sizes = {"32": "dcgan"} if asked.tiny else {"64": "dcgan", "128": "auto"}
    return {f"{recipe}, emoji {size}": partial(_idle, size, recipe, asked) for size, recipe in sizes.items()}


def _idle(size: str, recipe: str, asked: Asked) -> Row:
    """Idle is what part of the time a step waits that has its images brought to it."""
    config = TrainConfig(
        data=str(asked.emoji), image_size=size, recipe=recipe, precision="bf16", device=str(asked.device),
        compile="off" if asked.tiny else "on", steps=1000, batch_size=4 if asked.tiny else None,
        hyperparameters={"width": 8} if asked.tiny else {}, holdout=0.9 if asked.tiny else 0.1,
    )  # fmt: skip
    with as_traced("graph"):  # which takes no time to compile
        prepared = prepare(config, Group())
        step, memory = prepared.step, prepared.resolved.dataset.train
        kept = replace(_stored(step.setup.real), images=memory.images, labels=memory.labels)
        decoded = load_data(replace(config, cache=False), lambda done, total: None).train
        sources = {
            "resident": step.setup.real,
            "from the cache": PrefetchedImages(kept, asked.device),
            "from the decoder": PrefetchedImages(
                replace(kept, images=decoded.images, labels=decoded.labels), asked.device
            ),
        }
        counted = 2 if asked.tiny else 100
        seconds = {}
        for name, source in sources.items():
            step.setup = replace(step.setup, real=source)
            seconds[name] = in_turns({name: step}, 2, counted, asked.device)[name]
    milliseconds = {name: round(1e3 * value, 3) for name, value in seconds.items()}
    waits = {name: round(max(0.0, 1 - seconds["resident"] / value), 4) for name, value in seconds.items()}
    return {"recipe": prepared.resolved.config.recipe, "way": step.way, "milliseconds": milliseconds, "idle": waits}


def _stored(real: Any) -> ResidentImages:
    return real.source if isinstance(real, PrefetchedImages) else real
