"""What it takes to make the tutorial's MNIST GAN draw digits: each change of configs/mnist.toml, added one by one.

    python benchmarks/vanilla_mnist.py --data-root DIR --epochs 25 --seeds 0 1

Trains and evaluates each row that benchmarks/vanilla_mnist.json does not have yet, and writes it there.
"""

import argparse
import json
import platform
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from gancli import evaluate, train
from gancli.config import load_toml

HERE = Path(__file__).parent
RESULTS = HERE / "vanilla_mnist.json"
CHANGES = load_toml(HERE.parent / "configs" / "mnist.toml")["hyperparameters"]
RATES = {name: CHANGES[name] for name in ("g_lr", "d_lr")}
ROWS: dict[str, dict[str, float]] = {
    "mnist.toml": CHANGES,
    "tutorial": {},
    "tutorial + R1": {"r1_gamma": CHANGES["r1_gamma"]},
    "tutorial + beta1 + rates (no R1)": {"beta1": CHANGES["beta1"], **RATES},
    "tutorial + R1 + beta1": {"r1_gamma": CHANGES["r1_gamma"], "beta1": CHANGES["beta1"]},
    "tutorial + R1 + rates": {"r1_gamma": CHANGES["r1_gamma"], **RATES},
}


def measure(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train and evaluate one row: its figures, seconds, and where and when they were measured."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        run = train(
            HERE.parent / "configs" / "mnist-tutorial.toml", epochs=options.epochs, seed=seed, out=scratch,
            data_root=options.data_root, threads=options.threads, progress="none", keep=1,
            settings=[f"{key}={value}" for key, value in ROWS[name].items()],
        )  # fmt: skip
        report = evaluate(run.generator, data_root=options.data_root, seed=seed)
        if options.pictures and run.samples:
            options.pictures.mkdir(parents=True, exist_ok=True)
            picture = options.pictures / f"{name.replace(' ', '-')}-seed{seed}.png"
            picture.write_bytes(run.samples.read_bytes())
    return {
        "row": name,
        "seed": seed,
        "epochs": options.epochs,
        "hyperparameters": ROWS[name],
        "figures": {figure.name: figure.value for figure in report.figures},
        "real": {figure.name: figure.baseline for figure in report.figures},
        "n": report.figures[0].n,
        "last_metrics": run.metrics,
        "train_seconds": round(run.seconds),
        "seconds": round(time.perf_counter() - began),
        "threads": options.threads,
        "torch": torch.__version__,
        "machine": platform.machine(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root")
    parser.add_argument("--epochs", type=float, default=25)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pictures", type=Path, help="folder to copy the last sample grid of each run to")
    options = parser.parse_args()
    for seed in options.seeds:
        for name in options.rows:
            results = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
            if any((r["row"], r["seed"], r["epochs"]) == (name, seed, options.epochs) for r in results):
                continue
            results.append(measure(name, seed, options))
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
            print(json.dumps(results[-1]), flush=True)


if __name__ == "__main__":
    main()
