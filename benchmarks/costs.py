"""What surrounds the step: the loop, checkpoints, start-up and sampling, each against what it cannot go below.

    python benchmarks/costs.py

Prints and writes benchmarks/costs.json. Everything is measured in turns; medians, and ratios of them.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy
import torch
from PIL import Image

from gancli.artifacts import checkpoint, run_folder
from gancli.artifacts.run_folder import RunFolder
from gancli.config import TrainConfig
from gancli.machine import cores
from gancli.machine.distributed import Group
from gancli.recipes.base import Batch
from gancli.runs import train
from gancli.runs.prepare import Prepared, prepare
from gancli.sampling.generator import draw, load_generator
from gancli.training.loop import Loop
from gancli.training.saving import Checkpoints

NUMBERS = range(2048)


def seconds_of(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_turns(work: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each, all of them measured in every round; the first round does not count."""
    found: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds + 1):
        for name, each in work.items():
            found[name].append(seconds_of(each))
    return {name: statistics.median(values[1:]) for name, values in found.items()}


def loop_overhead(prepared: Prepared, folder: RunFolder, rounds: int, steps: int = 100) -> dict[str, float]:
    """Milliseconds of a step, bare and in the loop with metrics, TensorBoard, progress and the watch; the share on top.

    Neither draws samples nor saves; those are counted apart.
    """
    callbacks, vital_signs = train.own_callbacks(prepared, folder, "plain"), train.vital_signs(prepared)
    loop = Loop(prepared.step, prepared.resolved.plan, callbacks, vital_signs=vital_signs)
    for callback in loop.callbacks:
        callback.on_start(loop)

    def bare() -> None:
        for _ in range(steps):
            prepared.step()

    def looped() -> None:
        for _ in range(steps):
            loop._one_step()

    found = in_turns({"bare": bare, "looped": looped}, rounds)
    for callback in loop.callbacks:
        callback.close()
    milliseconds = {f"{name}_ms": round(1e3 * value / steps, 3) for name, value in found.items()}
    return milliseconds | {"share": round(found["looped"] / found["bare"] - 1, 4)}


def checkpoint_cost(prepared: Prepared, folder: RunFolder, step_ms: float, rounds: int) -> dict[str, float]:
    """Milliseconds of a checkpoint with its network files, and its share of training at the default interval."""
    state, origin = prepared.step.state, prepared.origin
    saver = next(c for c in train.own_callbacks(prepared, folder, "none") if isinstance(c, Checkpoints))
    loop = Loop(prepared.step, replace(prepared.resolved.plan, save_every=1))
    found = in_turns({"all": lambda: saver.on_step(loop)}, rounds)
    path = folder.checkpoint(state.step)
    checkpoint.save(path, state, origin, prepared.step.images_seen)
    save_every = prepared.resolved.plan.save_every
    interval = step_ms * save_every
    return {
        "ms": round(1e3 * found["all"], 1),
        "mebibytes": round(path.stat().st_size / 2**20, 2),
        "every_steps": save_every,
        "share": round(1e3 * found["all"] / interval, 4),
    }


def with_plan(prepared: Prepared, **changes: int) -> Prepared:
    """The same run with another plan."""
    plan = replace(prepared.resolved.plan, **changes)
    return replace(prepared, resolved=replace(prepared.resolved, plan=plan))


def start_up(rounds: int) -> dict[str, float]:
    """Seconds of ``gancli --help`` and of importing typer alone."""
    commands = {"help": ["-m", "gancli", "--help"], "typer": ["-c", "import typer"]}
    found = in_turns(
        {
            name: lambda words=words: subprocess.run([sys.executable, *words], check=True, capture_output=True)  # type: ignore[misc]
            for name, words in commands.items()
        },
        rounds,
    )
    return {name: round(value, 3) for name, value in found.items()} | {"more": round(found["help"] - found["typer"], 3)}


def sampling_cost(generator: Path, rounds: int) -> dict[str, float]:
    """Images a second as ``gancli sample`` draws them, and from forward passes alone."""
    loaded = load_generator(generator, torch.device("cpu"))
    latents = torch.randn(256, loaded.latent_dim)

    def forward() -> None:
        with torch.inference_mode():
            for _ in range(len(NUMBERS) // 256):
                loaded.network(latents, None)

    found = in_turns({"drawn": lambda: list(draw(loaded, NUMBERS)), "forward": forward}, rounds)
    return {f"{name}_per_s": round(len(NUMBERS) / value) for name, value in found.items()}


def write_pictures(folder: Path, count: int) -> None:
    """So many smooth pictures of 128 x 128, JPEG as cameras write them."""
    drawn = numpy.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(drawn.integers(0, 256, (16, 16, 3), dtype=numpy.uint8))
        coarse.resize((128, 128), Image.Resampling.BICUBIC).save(folder / f"{number:04}.jpg", quality=90)


def idle_share(pictures: Path, cache: bool, steps: int = 20) -> dict[str, float]:
    """Milliseconds of a DCGAN's step on 32 x 32, and the share of it in which the networks wait for pictures.

    Without the cache every picture is decoded, from 128 x 128, each time it is used.
    """
    options: dict[str, Any] = {"image_size": "32", "recipe": "dcgan", "threads": 1, "compile": "off"}
    step = prepare(TrainConfig(data=str(pictures), cache=cache, **options), Group()).step
    gather, waited = step.setup.real.batch, 0.0

    def timed(number: int) -> Batch:
        nonlocal waited
        began = time.perf_counter()
        batch = gather(number)
        waited += time.perf_counter() - began
        return batch

    step.setup.real.batch = timed  # type: ignore[method-assign]
    for _ in range(3):
        step()
    waited = 0.0
    whole = seconds_of(lambda: [step() for _ in range(steps)])
    return {"step_ms": round(1e3 * whole / steps, 1), "idle_share": round(waited / whole, 4)}


def main() -> None:
    """Measure the default run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    found: dict[str, Any] = {"torch": torch.__version__, "processor": cores.processor()}
    found["date"] = datetime.now(UTC).date().isoformat()
    with tempfile.TemporaryDirectory() as scratch:
        prepared = prepare(TrainConfig(data="digits", threads=1), Group())
        prepared = with_plan(prepared, total_steps=10**9, sample_every=0)
        folder = run_folder.create(Path(scratch), "bench")
        found["loop"] = loop_overhead(with_plan(prepared, save_every=0), folder, options.rounds)
        found["checkpoint"] = checkpoint_cost(prepared, folder, found["loop"]["looped_ms"], options.rounds)
        found["start_up"] = start_up(options.rounds)
        pictures = Path(scratch) / "pictures"
        pictures.mkdir()
        write_pictures(pictures, 512)
        found["streaming"] = {
            "decoded once": idle_share(pictures, True), "decoded each time": idle_share(pictures, False)
        }  # fmt: skip
        found["sampling"] = sampling_cost(folder.generator, options.rounds)
    print(json.dumps(found, indent=1))
    options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
