"""gancli's training step against the loops that people copy, in turns, with the arithmetic and its limits counted.

    python benchmarks/training_step.py --threads 1 2
    python benchmarks/training_step.py --device cuda

Ratios of medians. Prints a table and writes benchmarks/training_step.json, or training_step_cuda.json, row by row:
what was measured on this processor with this torch is not measured again, unless --fresh.
"""

import argparse
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from example_loops import dcgan, perceptrons
from step_timing import COMPILED, WAYS, Case, begun, flops, gancli_step, in_turns, peaks, pictures

from gancli.machine import cores, devices, matmul
from gancli.recipes.base import Spec
from gancli.runs import compile_choice

GPU_STEPS = 100
"""Of each kind in a round on a GPU."""


CASES = {
    "vanilla 28x28": Case("vanilla", Spec(1, 28, 28), perceptrons, 10),
    "r3gan 28x28": Case("r3gan", Spec(1, 28, 28), None, 5),
    "r3gan 32x32": Case("r3gan", Spec(3, 32, 32), None, 1),
    "dcgan 32x32": Case("dcgan", Spec(3, 32, 32), dcgan, 1),
    "dcgan 64x64": Case("dcgan", Spec(3, 64, 64), dcgan, 1),
}


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
