"""What the metrics cost: seconds and peak memory of each, on features of N against N random images.

    python benchmarks/evaluation.py --n 1000 2000 4000 --dimensions 2048

Each size runs in a process of its own, so that its peak memory is its own. Results go to benchmarks/evaluation.json,
with what a line over the sizes says of 50,000: in N squared for what compares all pairs, in N for the others.
"""

import argparse
import json
import multiprocessing
import os
import platform
import resource
import statistics
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_suffix(".json")
GOAL = 50_000
PAIRS = ("precision", "authpct", "duplicates", "c_t")
"""What takes time by the square of N."""


def measure(n: int, dimensions: int, threads: int) -> dict[str, Any]:
    """Seconds of each metric of features alone, and the process's peak memory, at one size."""
    import torch

    from gancli.evaluation import evaluate, metrics

    torch.set_num_threads(threads)
    drawn = torch.Generator().manual_seed(0)
    fake, real, train = (torch.randn(n, dimensions, generator=drawn).double() for _ in range(3))
    wanted = [m.name for m in metrics.table().values() if not (m.logits or m.pixels or m.latents)]
    before = peak_gib()
    report = evaluate(fake, real, train=train, metrics=wanted)
    return {"n": n, "seconds": dict(report.seconds), "peak_gib": peak_gib(), "features_gib": before}


def peak_gib() -> float:
    """Of this process, so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30, 3)


def extrapolate(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Seconds and memory at 50,000, from lines through all sizes: in N squared for what compares pairs, else in N."""
    sizes = [row["n"] for row in rows]
    seconds = {}
    for name in rows[-1]["seconds"]:
        power = 2 if name in (*PAIRS, "baseline") else 1
        seconds[name] = round(_at_goal(sizes, [row["seconds"][name] for row in rows], power), 1)
    memory = _at_goal(sizes, [row["peak_gib"] for row in rows], 1)
    return {"n": GOAL, "seconds": seconds, "total_seconds": round(sum(seconds.values())), "peak_gib": round(memory, 1)}


def _at_goal(sizes: list[int], values: list[float], power: int) -> float:
    """What a line in N^power says of the goal, at least the largest size's value."""
    if len(sizes) < 2:
        return values[-1]
    slope, start = statistics.linear_regression([float(n**power) for n in sizes], values)
    return max(values[-1], start + slope * GOAL**power)


def main() -> None:
    """Measure all sizes, smallest first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, nargs="+", default=[1000, 2000, 4000])
    parser.add_argument("--dimensions", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    rows = []
    for n in sorted(options.n):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            rows.append(pool.apply(measure, (n, options.dimensions, options.threads)))
        print(json.dumps(rows[-1]), flush=True)
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {options.threads} threads used",
        "dimensions": options.dimensions,
        "rows": rows,
        "extrapolated": extrapolate(rows),
    }
    print(json.dumps(result["extrapolated"]))
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
