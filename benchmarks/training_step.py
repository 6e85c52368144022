"""gancli's training step against the loops that people copy, in turns, with the arithmetic and its limits counted.

    python benchmarks/training_step.py --threads 1 2
    python benchmarks/training_step.py --device cuda

Ratios of medians. Prints a table and writes benchmarks/training_step.json, or training_step_cuda.json, row by row:
what was measured on this processor with this torch is not measured again, unless --fresh.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import torch
from example_loops import BATCH_SIZE, dcgan, perceptrons
from torch.nn.functional import conv2d, linear
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import conv_flop_count, flop_registry

from gancli import recipes
from gancli.machine import cores, devices, matmul
from gancli.recipes.base import Spec
from gancli.runs import compile_choice
from gancli.steps import state as training_state
from gancli.steps.batches import Noise, ResidentImages
from gancli.steps.step import Step

Name = TypeVar("Name")
WAYS = ("plain", "fp32", "bf16")
COMPILED = ("fp32 compiled", "bf16 compiled")
GPU_STEPS = 100
"""Of each kind in a round on a GPU."""


@dataclass(frozen=True)
class Case:
    """What is timed: a recipe's step, and the example's loop that does the same."""

    recipe: str
    spec: Spec
    example: Callable[[torch.Tensor, torch.device], Callable[[], object]] | None
    steps: int
    """Of each kind in a round."""


CASES = {
    "vanilla 28x28": Case("vanilla", Spec(1, 28, 28), perceptrons, 10),
    "r3gan 28x28": Case("r3gan", Spec(1, 28, 28), None, 5),
    "r3gan 32x32": Case("r3gan", Spec(3, 32, 32), None, 1),
    "dcgan 32x32": Case("dcgan", Spec(3, 32, 32), dcgan, 1),
    "dcgan 64x64": Case("dcgan", Spec(3, 64, 64), dcgan, 1),
}


def pictures(spec: Spec) -> torch.Tensor:
    """Random ones, uint8: what is on them makes no difference to the time."""
    return torch.randint(0, 256, (1280, *spec.shape), dtype=torch.uint8)


def gancli_step(case: Case, images: torch.Tensor, device: torch.device, way: str) -> Step:
    """The step as ``gancli train`` builds it, which also keeps the average of G; ``way``: a precision, or plain."""
    recipe = recipes.find(case.recipe)().fitted(case.spec, 60_000, 1_000_000)
    precision = "bf16" if way.startswith("bf16") else "fp32"
    state = training_state.create(recipe, case.spec, 0, device, precision)
    real, noise = (
        ResidentImages(images.to(device), None, BATCH_SIZE, 0),
        Noise(recipe.latent_dim, 0, BATCH_SIZE, 0, device),
    )
    return Step(recipe, state, real, noise, precision, plain=way == "plain", compiled=way.endswith("compiled"))


def in_turns(
    steps: dict[Name, Callable[[], object]], rounds: int, count: int, device: torch.device
) -> dict[Name, float]:
    """Median seconds of a step of each, all of them measured in every round; the first round does not count."""
    seconds: dict[Name, list[float]] = {name: [] for name in steps}
    for _ in range(rounds + 1):
        for name, step in steps.items():
            began = time.perf_counter()
            for _ in range(count):
                step()
            devices.synchronise(device)
            seconds[name].append((time.perf_counter() - began) / count)
    return {name: statistics.median(values[1:]) for name, values in seconds.items()}


def peaks(device: torch.device, dtype: torch.dtype = torch.float32) -> dict[str, Callable[[], object]]:
    """A matrix product of the size in perceptrons and a convolution of that in DCGAN's middle.

    On a GPU, which those would not fill, larger ones.
    """
    on_cpu = device.type == "cpu"
    factors = ((128, 784), (512, 784)) if on_cpu else ((4096, 4096), (4096, 4096))
    left, right = (torch.randn(shape, device=device, dtype=dtype) for shape in factors)
    maps, filters = (
        torch.randn(shape, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)
        for shape in (((64, 64, 16, 16), (128, 64, 4, 4)) if on_cpu else ((64, 256, 64, 64), (512, 256, 4, 4)))
    )
    return {"peak product": lambda: linear(left, right), "peak convolution": lambda: conv2d(maps, filters, None, 2, 1)}


class Counter(TorchDispatchMode):
    """Adds up operations as torch's own counter does, which cannot be used where gradients are asked for by edge."""

    total = 0

    def __torch_dispatch__(self, function: Any, kinds: Any, values: Any = (), options: Any = None) -> Any:
        """Run it and count it."""
        made = function(*values, **(options or {}))
        self.total += operations(function, values, options or {}, made)
        return made


def operations(function: Any, values: Any, options: Any, made: Any) -> int:
    """Floating-point operations of one call; 0 of what is neither product nor convolution."""
    if function.overloadpacket == torch.ops.aten.convolution_backward:  # torch takes groups for one in a gradient
        gradient, maps, weight = values[:3]
        one_pass = conv_flop_count(maps.shape, weight.shape, gradient.shape, transposed=values[7])
        return one_pass * sum(values[10][:2])
    count = flop_registry.get(function.overloadpacket)
    return count(*values, **options, out_val=made) if count else 0


def flops(step: Callable[[], object]) -> int:
    """Floating-point operations of the products and convolutions of one step."""
    with Counter() as counter:
        step()
    return counter.total


def measure(name: str, threads: int, options: argparse.Namespace) -> dict[str, Any]:
    """One row: milliseconds, ratios, and the share of the peak that was measured in the same rounds."""
    case, images, device = CASES[name], pictures(CASES[name].spec), options.device
    ways = (*WAYS, *COMPILED) if options.compiled else WAYS
    steps: dict[str, Callable[[], object]] = {way: gancli_step(case, images, device, way) for way in ways}
    steps = {way: step for way, step in steps.items() if way not in COMPILED or begun(step)} | peaks(device)
    if case.example:
        steps["example"] = case.example(images, device)
    counted = {each: flops(steps[each]) for each in ("plain", "fp32", "peak product", "peak convolution")}
    count = case.steps if device.type == "cpu" else GPU_STEPS  # which are queued without waiting for each other
    seconds = in_turns(steps, options.rounds, count, device)
    reference = seconds.get("example", seconds["plain"])
    peak = "peak convolution" if case.spec.channels == 3 else "peak product"  # perceptrons draw the grey ones
    rate = {each: counted[each] / seconds[each] for each in counted}
    return {
        "case": name,
        "threads": threads,
        "load": round(os.getloadavg()[0], 1),
        "against": "example" if case.example else "plain",
        "milliseconds": {each: round(1e3 * seconds[each], 3) for each in seconds},
        "times_faster": {each: round(reference / seconds[each], 2) for each in ways if each in seconds},
        "gflop": {each: round(counted[each] / 1e9, 3) for each in ("plain", "fp32")},
        "gflop_per_s": {each: round(value / 1e9, 1) for each, value in rate.items()},
        "share_of_peak": round(rate["fp32"] / rate[peak], 2),
        "compiled_share_of_peak": _share(counted["fp32"], seconds.get("fp32 compiled"), rate[peak]),
    }


def begun(step: Callable[[], object]) -> bool:
    """Do the steps in which everything is compiled; False, and the reason printed, where it cannot be."""
    try:
        for _ in range(compile_choice.TRIED):
            step()
    except Exception as error:  # a compiler fails in ways of its own
        print(f"not compiled: {type(error).__name__}: {str(error).splitlines()[0]}")
        return False
    return True


def _share(operations: int, seconds: float | None, peak: float) -> float | None:
    return None if seconds is None else round(operations / seconds / peak, 2)


def known(path: Path, facts: dict[str, Any], fresh: bool) -> list[dict[str, Any]]:
    """The rows of a file that were measured under the same circumstances."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return []
    same = not fresh and isinstance(found, dict) and all(found.get(name) == value for name, value in facts.items())
    return found["rows"] if same else []


def main() -> None:
    """Measure every case that is missing, with each number of threads."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--compiled", action="store_true", help="compiled steps too, which takes a minute a case")
    parser.add_argument("--fresh", action="store_true", help="measure everything anew")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    on_cpu = options.device.type == "cpu"
    out = options.out or Path(__file__).with_suffix(".json" if on_cpu else "_cuda.json")
    devices.prefer_speed(options.device, False)
    compile_choice.use_cache()
    facts = {
        "torch": torch.__version__,
        "processor": cores.processor(),
        "device": devices.describe(options.device),
    }
    rows = known(out, facts, options.fresh)
    for threads in options.threads if on_cpu else [1]:
        torch.set_num_threads(threads)
        matmul.use(matmul.best(cores.processor()))
        for name in options.cases:
            if not any((row["case"], row["threads"]) == (name, threads) for row in rows):
                rows.append(measure(name, threads, options) | {"date": datetime.now(UTC).date().isoformat()})
                out.write_text(json.dumps(facts | {"rows": rows}, indent=1) + "\n")
    ways = [way for way in (*WAYS, *COMPILED) if any(way in row["times_faster"] for row in rows)]
    print("| case | threads | against | " + " | ".join(ways) + " | share of peak |\n" + "|---" * (len(ways) + 4) + "|")
    for row in rows:
        ratios = " | ".join(f"{row['times_faster'][way]:.2f}" if way in row["times_faster"] else "" for way in ways)
        print(f"| {row['case']} | {row['threads']} | {row['against']} | {ratios} | {row['share_of_peak']:.2f} |")


if __name__ == "__main__":
    main()
