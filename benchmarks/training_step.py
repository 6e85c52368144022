"""gancli's training step against the loops that people copy, in turns, with the arithmetic and its limits counted.

    python benchmarks/training_step.py --threads 1 2

Ratios of medians. Prints a table and writes benchmarks/training_step.json.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from example_loops import BATCH_SIZE, dcgan, perceptrons
from torch.nn.functional import conv2d, linear
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from gancli import products, recipes, run_folder
from gancli.recipes.base import Spec
from gancli.training import state as training_state
from gancli.training.batches import Noise, ResidentImages
from gancli.training.step import Step

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Case:
    """What is timed: a recipe's step, and the example's loop that does the same."""

    recipe: str
    spec: Spec
    example: Callable[[torch.Tensor], Callable[[], object]] | None
    steps: int
    """Of each kind in a round."""


CASES = {
    "vanilla 28x28": Case("vanilla", Spec(1, 28, 28), perceptrons, 10),
    "r3gan 28x28": Case("r3gan", Spec(1, 28, 28), None, 5),
    "dcgan 32x32": Case("dcgan", Spec(3, 32, 32), dcgan, 1),
    "dcgan 64x64": Case("dcgan", Spec(3, 64, 64), dcgan, 1),
}


def pictures(spec: Spec) -> torch.Tensor:
    """Random ones, uint8: what is on them makes no difference to the time."""
    return torch.randint(0, 256, (1280, *spec.shape), dtype=torch.uint8)


def gancli_step(case: Case, images: torch.Tensor, precision: str, plain: bool = False) -> Step:
    """The step as ``gancli train`` builds it, which also keeps the average of G."""
    recipe = recipes.find(case.recipe)().fitted(case.spec, 60_000, 1_000_000)
    state = training_state.create(recipe, case.spec, 0, CPU, precision)
    noise = Noise(recipe.latent_dim, 0, BATCH_SIZE, 0, CPU)
    return Step(recipe, state, ResidentImages(images, None, BATCH_SIZE, 0), noise, precision, plain=plain)


def in_turns(steps: dict[str, Callable[[], object]], rounds: int, count: int) -> dict[str, float]:
    """Median seconds of a step of each, all of them measured in every round; the first round does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds + 1):
        for name, step in steps.items():
            began = time.perf_counter()
            for _ in range(count):
                step()
            seconds[name].append((time.perf_counter() - began) / count)
    return {name: statistics.median(values[1:]) for name, values in seconds.items()}


def peaks() -> dict[str, Callable[[], object]]:
    """A matrix product of the size in perceptrons and a convolution of that in DCGAN's middle."""
    left, right = torch.randn(128, 784), torch.randn(512, 784)
    maps = torch.randn(64, 64, 16, 16).contiguous(memory_format=torch.channels_last)
    filters = torch.randn(128, 64, 4, 4).contiguous(memory_format=torch.channels_last)
    return {"peak product": lambda: linear(left, right), "peak convolution": lambda: conv2d(maps, filters, None, 2, 1)}


class Counter(TorchDispatchMode):
    """Adds up operations as torch's own counter does, which cannot be used where gradients are asked for by edge."""

    total = 0

    def __torch_dispatch__(self, function: Any, kinds: Any, values: Any = (), options: Any = None) -> Any:
        """Run it and count it."""
        made = function(*values, **(options or {}))
        count = flop_registry.get(function.overloadpacket)
        self.total += count(*values, **(options or {}), out_val=made) if count else 0
        return made


def flops(step: Callable[[], object]) -> int:
    """Floating-point operations of the products and convolutions of one step."""
    with Counter() as counter:
        step()
    return counter.total


def measure(name: str, threads: int, rounds: int) -> dict[str, Any]:
    """One row: milliseconds, ratios, and the share of the peak that was measured in the same rounds."""
    case, images = CASES[name], pictures(CASES[name].spec)
    steps: dict[str, Callable[[], object]] = {
        "plain": gancli_step(case, images, "fp32", plain=True),
        "fp32": gancli_step(case, images, "fp32"),
        "bf16": gancli_step(case, images, "bf16"),
        **peaks(),
    }
    if case.example:
        steps["example"] = case.example(images)
    counted = {each: flops(steps[each]) for each in ("plain", "fp32", "peak product", "peak convolution")}
    seconds = in_turns(steps, rounds, case.steps)
    reference = seconds.get("example", seconds["plain"])
    peak = "peak convolution" if case.recipe == "dcgan" else "peak product"
    rate = {each: counted[each] / seconds[each] for each in counted}
    return {
        "case": name,
        "threads": threads,
        "against": "example" if case.example else "plain",
        "milliseconds": {each: round(1e3 * seconds[each], 3) for each in seconds},
        "times_faster": {each: round(reference / seconds[each], 2) for each in ("plain", "fp32", "bf16")},
        "gflop": {each: round(counted[each] / 1e9, 3) for each in ("plain", "fp32")},
        "gflop_per_s": {each: round(value / 1e9, 1) for each, value in rate.items()},
        "share_of_peak": round(rate["fp32"] / rate[peak], 2),
    }


def main() -> None:
    """Measure every case with each number of threads."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    found: dict[str, Any] = {"torch": torch.__version__, "processor": run_folder.processor()}
    found |= {"machine": platform.machine(), "date": datetime.now(UTC).date().isoformat(), "rows": []}
    print("| case | threads | against | plain | fp32 | bf16 | share of peak |\n|---|---|---|---|---|---|---|")
    for threads in options.threads:
        torch.set_num_threads(threads)
        found[f"onednn_gain_{threads}"] = round(products.gain(), 2)
        products.use(products.best(run_folder.processor()))
        for name in options.cases:
            row = measure(name, threads, options.rounds)
            found["rows"].append(row)
            ratios = " | ".join(f"{value:.2f}" for value in row["times_faster"].values())
            print(f"| {name} | {threads} | {row['against']} | {ratios} | {row['share_of_peak']:.2f} |", flush=True)
    options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
