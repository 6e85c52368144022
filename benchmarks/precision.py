"""What ``gancli export --precision`` costs in image quality, and which wrong models its proof catches.

    python benchmarks/precision.py --runs DIR [gen.pth ...]

Small generators are trained first, a few minutes each, unless DIR has them from last time; other trained generators may
be named. Each is exported in each precision. Wrong models are then proved as if they were right: all weights nudged by
1, 2 and 5 %, the largest layer by 10 %, and the last layer swapped for an untrained one. Results go to
benchmarks/precision.json.
"""

import argparse
import json
import platform
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import gancli
from gancli.deploy.deployed import description
from gancli.deploy.model_files import content_of, runner
from gancli.deploy.proof_of_model import BOUNDS, ModelProof, prove_model
from gancli.machine import cores
from gancli.sampling.generator import LoadedGenerator, build_generator, load_generator

RESULTS = Path(__file__).with_suffix(".json")
CPU = torch.device("cpu")
TRAINED = {
    ("digits", "vanilla"): 3000, ("digits", "cgan"): 3000, ("digits", "dcgan"): 1000, ("digits", "acgan"): 600,
    ("digits", "stylegan2"): 300, ("mnist", "r3gan"): 400,
}  # fmt: skip
"""Steps by data set and recipe."""


def generators(runs: Path) -> Iterator[Path]:
    """The trained generators, trained now where they are missing."""
    for (data, recipe), steps in TRAINED.items():
        folder = runs / f"{data}-{recipe}"
        if not [*folder.glob("*/gen.pth")]:
            gancli.train(data=data, recipe=recipe, steps=steps, eval_every=0, device="cpu", out=folder)
        yield max(folder.glob("*/gen.pth"))


def wrong_weights(generator: LoadedGenerator) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """A name and the weights of each wrong model."""
    weights = dict(generator.file.weights)
    layers = [name for name, value in weights.items() if value.ndim > 1]
    largest, last = max(layers, key=lambda name: weights[name].numel()), layers[-1]
    for nudge in (0.01, 0.02, 0.05):
        yield f"all weights + {nudge:.0%}", weights | {name: (1 + nudge) * weights[name] for name in layers}
    yield "largest layer + 10%", weights | {largest: 1.1 * weights[largest]}
    source = torch.Generator().manual_seed(0)
    swapped = torch.randn(weights[last].shape, generator=source) * weights[last].std()
    yield "last layer swapped", weights | {last: swapped}


def caught(generator: LoadedGenerator, weights: dict[str, Tensor], precision: str) -> ModelProof:
    """The proof of a model with these weights, compared with the right generator."""
    wrong = build_generator(replace(generator.file, weights=weights), CPU)
    content = content_of(".onnx", wrong, False, description(wrong, False, precision, "0" * 64), precision)
    return prove_model(runner(".onnx", content, wrong), generator, False, precision)


def row(path: Path, folder: Path) -> dict[str, Any]:
    """The figures of one generator."""
    generator = load_generator(path, CPU)
    origin = generator.file.origin
    result: dict[str, Any] = {
        "recipe": origin.recipe, "data": Path(origin.data).name, "shape": origin.spec.shape,
        "steps": generator.file.steps,
    }  # fmt: skip
    for precision in BOUNDS:
        exported = gancli.export(path, to=folder / "model.onnx", precision=precision, overwrite=True)
        proofs = {name: caught(generator, weights, precision) for name, weights in wrong_weights(generator)}
        result[precision] = {
            "mib": round(exported.bytes / 2**20, 3), "proof": rounded(exported.proof), "fd": exported.fd,
            "images_per_s": round(exported.exported.images_per_s), "note": exported.note,
            "wrong": {name: rounded(proof) | {"caught": not proof.holds} for name, proof in proofs.items()},
        }  # fmt: skip
    return result


def rounded(proof: ModelProof) -> dict[str, float]:
    return {name: round(value, 5) for name, value in asdict(proof).items() if name != "images"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True, help="folder for the trained generators")
    parser.add_argument("generators", type=Path, nargs="*", help="more trained generators")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for path in (*generators(given.runs), *given.generators):
            rows.append(row(path, Path(folder)))
            print(json.dumps(rows[-1]), flush=True)
    about = {
        "date": f"{date.today()}", "machine": cores.processor(), "torch": torch.__version__,
        "python": platform.python_version(),
    }  # fmt: skip
    RESULTS.write_text(json.dumps(about | {"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
