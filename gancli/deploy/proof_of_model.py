"""Compare an exported model with torch's: whether both draw the same images, and how fast."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median, quantiles

import numpy as np
import torch

from gancli.deploy.deployed import Deployed, Inputs, deployed, numbered_inputs
from gancli.deploy.model_files import Run, torch_runner
from gancli.sampling.generator import LoadedGenerator, build_generator

CPU = torch.device("cpu")
NUMBERS = 64
"""Number of images to compare; with more classes than this, one image per class."""
BATCH = 64
SECONDS = 0.5
"""Duration of each measurement of speed."""
BOUNDS = {"fp32": (0.1, 0.01, 0.0), "fp16": (0.1, 0.03, 0.002), "int8": (0.1, 0.01, 0.015)}
"""By precision: the largest and the mean difference allowed in pixel levels (0 to 255), and a relative weight error.

The images may change as much as by random errors of that size in the weights, besides. A bound in levels alone that
fits one generator is too wide or too narrow for another, but rounding acts as such errors do. Over the trained
generators of benchmarks/precision.py, fp16 changed the mean as errors of 0.04 to 0.09 % did, and int8 as errors of 0.5
to 0.75 %; those allowed are twice as large. An error that is no chance, such as all weights nudged by 1 %, changes the
images more. The mean for fp16 has room for the output, whose last bit is 0.06 levels.
"""


@dataclass(frozen=True)
class ModelProof:
    """How far an exported model's images are from torch's, in pixel levels (0 to 255)."""

    images: int
    largest: float
    mean: float
    largest_allowed: float
    mean_allowed: float

    @property
    def holds(self) -> bool:
        """True if both differences are within their bounds; False for NaN."""
        return self.largest <= self.largest_allowed and self.mean <= self.mean_allowed

    def __str__(self) -> str:
        allowed = f"allowed are {self.largest_allowed:.2g} and {self.mean_allowed:.2g}"
        return (
            f"{self.images} images differ by {self.largest:.2g} of 255 at most, {self.mean:.2g} in the mean; {allowed}"
        )


def prove_model(run: Run, generator: LoadedGenerator, pixels: bool, precision: str) -> ModelProof:
    """Compare a model's images of every class with those of torch in float32, in batches of several sizes."""
    count = max(NUMBERS, len(generator.classes))
    inputs, module = numbered_inputs(generator, range(count)), deployed(generator, pixels)
    parts = [inputs.rows(start, stop) for start, stop in ((0, 1), (1, 6), (6, count))]
    apart = np.concatenate([_levels_apart(module, run(part), part).ravel() for part in parts])
    largest, mean = _allowed(generator, inputs, precision)
    if pixels:  # a value half way between two levels may be rounded to either, which differ by a whole level
        largest, mean = largest + 1, mean + 0.01
    return ModelProof(count, float(apart.max()), float(apart.mean()), largest, mean)


def _allowed(generator: LoadedGenerator, inputs: Inputs, precision: str) -> tuple[float, float]:
    """The largest and the mean difference allowed, in pixel levels."""
    largest, mean, errors = BOUNDS[precision]
    if not errors:
        return largest, mean
    source, file = torch.Generator().manual_seed(0), generator.file
    weights = {
        name: value * (1 + errors * torch.randn(value.shape, generator=source)) if value.ndim > 1 else value
        for name, value in file.weights.items()
    }
    inexact = deployed(build_generator(replace(file, weights=weights), CPU), pixels=False)
    apart = _levels_apart(deployed(generator, pixels=False), torch_runner(inexact)(inputs), inputs)
    return largest + float(apart.max()), mean + float(apart.mean())


def _levels_apart(module: Deployed, there: np.ndarray, inputs: Inputs) -> np.ndarray:
    """Differences ``(N, ...)`` in pixel levels; infinite if shapes or types differ."""
    here = torch_runner(module)(inputs)
    if there.shape != here.shape or there.dtype != here.dtype:
        return np.array([np.inf])
    return module.levels(np.abs(there.astype(np.float64) - here))


@dataclass(frozen=True)
class Speed:
    """Speed of a model on this machine."""

    median_ms: float
    """Median time to draw one image."""
    p95_ms: float
    images_per_s: float
    """Throughput in batches of `BATCH`."""


def speed_of(run: Run, generator: LoadedGenerator) -> Speed:
    """Measure single images, then batches; each for `SECONDS`, and at least twice."""
    inputs = numbered_inputs(generator, range(BATCH))
    alone, batch = (_seconds(run, inputs.rows(0, count)) for count in (1, BATCH))
    return Speed(1000 * median(alone), 1000 * quantiles(alone, n=20)[-1], BATCH / median(batch))


def _seconds(run: Run, inputs: Inputs) -> Sequence[float]:
    run(inputs)
    taken: list[float] = []
    began = time.perf_counter()
    while len(taken) < 2 or time.perf_counter() - began < SECONDS:
        start = time.perf_counter()
        run(inputs)
        taken.append(time.perf_counter() - start)
    return taken
