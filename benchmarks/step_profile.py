"""What bounds a training step: where its time goes, and what would be left of it at the processor's peak.

    python benchmarks/step_profile.py --threads 1 2

torch's profiler says what part of a step each kind of operation takes; the length of the step itself is measured
without it, in turns with the example's loop and with the peaks. Prints a table and writes benchmarks/step_profile.json.
"""

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from step_timing import COMPILED, WAYS, flops, gancli_step, in_turns, peaks, pictures
from torch.profiler import ProfilerActivity, profile
from training_step import CASES

from gancli.machine import cores, devices, matmul
from gancli.runs import compile_choice

CPU = torch.device("cpu")
KINDS = {
    "products": ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "mkldnn::_linear_pointwise"),
    "convolutions": (
        "aten::convolution", "aten::_convolution", "aten::mkldnn_convolution", "mkldnn::_convolution",
        "aten::_slow_conv2d", "aten::slow_conv",
    ),
    "normalisation": ("aten::native_batch_norm",),
    "Adam": ("aten::_fused_adam_",),
    "compiled loops": ("## Call CompiledFxGraph",),
}  # fmt: skip
"""Beginnings of the names of operations; all else is "other operations" and, outside of any, "between them"."""


def kind_of(operation: str) -> str:
    """The kind that an operation counts as."""
    other = "other operations" if "::" in operation else "between them"
    return next((kind for kind, beginnings in KINDS.items() if operation.startswith(beginnings)), other)


def shares(step: Any, count: int) -> dict[str, float]:
    """The part of the profiled time that each kind of operation takes; what no operation takes is "between them"."""
    with profile(activities=[ProfilerActivity.CPU]) as found:
        for _ in range(count):
            step()
    events = found.key_averages()
    seconds: dict[str, float] = {}
    for event in events:
        kind = kind_of(event.key)
        seconds[kind] = seconds.get(kind, 0.0) + event.self_cpu_time_total
    total = sum(seconds.values())
    return {kind: value / total for kind, value in sorted(seconds.items(), key=lambda item: -item[1])}


def measure(name: str, threads: int, rounds: int) -> list[dict[str, Any]]:
    """A row for each way of one case."""
    case, images = CASES[name], pictures(CASES[name].spec)
    ways = {way: gancli_step(case, images, CPU, way) for way in (*WAYS[1:], *COMPILED)}
    limits = {
        (precision, name): work
        for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16))
        for name, work in peaks(CPU, dtype).items()
    }
    operations = flops(gancli_step(case, images, CPU, "fp32"))
    counted = {each: flops(work) for each, work in limits.items()}
    for step in (*ways.values(), *ways.values()):  # the first is not compiled, and in the second the compiler works
        step()
    steps = {**ways, **limits} | ({"example": case.example(images, CPU)} if case.example else {})
    seconds = in_turns(steps, rounds, case.steps, CPU)
    rows = []
    for way, step in ways.items():
        parts = shares(step, 4 * case.steps)
        taken = parts.get("products", 0.0) + parts.get("convolutions", 0.0)
        precision = way.split()[0]
        peak = max(counted[each] / seconds[each] for each in limits if each[0] == precision)
        row = {
            "case": name, "threads": threads, "way": way,
            "milliseconds": round(1e3 * seconds[way], 3),
            "parts": {kind: round(1e3 * share * seconds[way], 3) for kind, share in parts.items()},
            "gflop": round(operations / 1e9, 3),
            "gflop_per_s_of_products": round(operations / (taken * seconds[way]) / 1e9, 1),
            "peak_gflop_per_s": round(peak / 1e9, 1),
        }  # fmt: skip
        if "example" in seconds:
            row |= {
                "times_faster": round(seconds["example"] / seconds[way], 2),
                "times_faster_if_all_but_products_were_free": round(seconds["example"] / (taken * seconds[way]), 2),
                "times_faster_at_the_peak": round(seconds["example"] * peak / operations, 2),
            }
        rows.append(row | {"date": datetime.now(UTC).date().isoformat()})
    return rows


def print_table(rows: list[dict[str, Any]]) -> None:
    """A Markdown table: a line for each way, its milliseconds by kind, and how much faster than the example it is."""
    kinds = list(dict.fromkeys(kind for row in rows for kind in row["parts"]))
    print("| case | threads | way | ms | " + " | ".join(kinds) + " | times faster | products alone | at the peak |")
    print("|---" * (len(kinds) + 7) + "|")
    for row in rows:
        parts = " | ".join(f"{row['parts'].get(kind, 0):.2f}" for kind in kinds)
        ratios = [row.get(f"times_faster{end}") for end in ("", "_if_all_but_products_were_free", "_at_the_peak")]
        line = " | ".join("" if ratio is None else f"{ratio:.2f}" for ratio in ratios)
        print(f"| {row['case']} | {row['threads']} | {row['way']} | {row['milliseconds']:.2f} | {parts} | {line} |")


def main() -> None:
    """Measure every case with each number of threads."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cases", nargs="+", default=["vanilla 28x28", "dcgan 32x32"], choices=list(CASES))
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    devices.prefer_speed(CPU, False)
    compile_choice.use_cache()
    rows: list[dict[str, Any]] = []
    for threads in options.threads:
        torch.set_num_threads(threads)
        matmul.use(matmul.best(cores.processor()))
        for name in options.cases:
            rows += measure(name, threads, options.rounds)
    facts = {"torch": torch.__version__, "processor": cores.processor(), "rows": rows}
    options.out.write_text(json.dumps(facts, indent=1) + "\n")
    print_table(rows)


if __name__ == "__main__":
    main()
