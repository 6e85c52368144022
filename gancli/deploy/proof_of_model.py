"""Compare an exported model with torch's: whether both draw the same images, and how fast."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles

import numpy as np

from gancli.deploy.deployed import Deployed, Inputs, deployed, numbered_inputs
from gancli.deploy.model_files import Run, torch_runner
from gancli.sampling.generator import LoadedGenerator

NUMBERS = 64
"""Number of images to compare; with more classes than this, one image per class."""
BATCH = 64
SECONDS = 0.5
"""Duration of each measurement of speed."""
BOUNDS = {"fp32": (0.1, 0.01), "fp16": (8.0, 0.25), "int8": (64.0, 4.0)}
"""By precision, the largest and the mean difference allowed, in pixel levels (0 to 255)."""


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
        allowed = f"allowed are {self.largest_allowed:g} and {self.mean_allowed:g}"
        return (
            f"{self.images} images differ by {self.largest:.2g} of 255 at most, {self.mean:.2g} in the mean; {allowed}"
        )


def prove_model(run: Run, generator: LoadedGenerator, pixels: bool, precision: str) -> ModelProof:
    """Compare a model's images of every class with those of torch in float32, in batches of several sizes."""
    count = max(NUMBERS, len(generator.classes))
    inputs, module = numbered_inputs(generator, range(count)), deployed(generator, pixels)
    parts = [inputs.rows(start, stop) for start, stop in ((0, 1), (1, 6), (6, count))]
    apart = np.concatenate([_levels_apart(module, run(part), part).ravel() for part in parts])
    largest, mean = BOUNDS[precision]
    if pixels:  # a value half way between two levels may be rounded to either, which differ by a whole level
        largest, mean = largest + 1, mean + 0.01
    return ModelProof(count, float(apart.max()), float(apart.mean()), largest, mean)


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
