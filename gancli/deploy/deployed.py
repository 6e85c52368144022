"""The exported form of a generator: its inputs, its output, and the metadata in its file."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from gancli.data.conditions import Conditions, default_labels
from gancli.functional.pixels import to_pixels
from gancli.randomness import numbered_latents
from gancli.recipes.base import Spec
from gancli.sampling.generator import LoadedGenerator
from gancli.version import __version__

FORMAT = "gancli-model 1"
LATENTS, LABELS, CONDITIONS, IMAGES, POINTS = "latents", "labels", "conditions", "images", "points"
"""Names of the inputs and outputs."""
LICENCE = "Whoever trained this generator chooses its licence, within what the training images allow."


class Deployed(nn.Module):
    """A generator with the inputs and the output of an exported model: images, pixels or points.

    Images are float32 ``(N, C, H, W)`` in [-1, 1]; pixels uint8 ``(N, H, W, C)``; points float32 ``(N, 2)``.
    """

    def __init__(self, network: nn.Module, spec: Spec, pixels: bool, conditions: Conditions | None = None) -> None:
        super().__init__()
        self.network, self.spec, self.pixels, self.conditions = network, spec, pixels, conditions

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Draw from latents, float32 ``(N, latent_dim)``, and labels.

        Labels are int64 ``(N,)`` for classes, float32 ``(N, K)`` in the user's units for conditions, or None.
        """
        if self.conditions is not None and labels is not None:
            labels = self.conditions.standardised(labels)
        images = self.network(latents, labels)
        if self.spec.point_scale is not None:
            return images.flatten(1) * self.spec.point_scale
        return to_pixels(images).permute(0, 2, 3, 1) if self.pixels else images

    @property
    def output(self) -> str:
        """Name of the output."""
        return IMAGES if self.spec.point_scale is None else POINTS

    def levels(self, difference: np.ndarray) -> np.ndarray:
        """Convert differences between outputs to pixel levels (0 to 255)."""
        if self.spec.point_scale is not None:
            return difference / self.spec.point_scale * 127.5
        return difference if self.pixels else difference * 127.5


def deployed(generator: LoadedGenerator, pixels: bool) -> Deployed:
    """The generator as a module to export; its output is uint8 if ``pixels``."""
    return Deployed(generator.network, generator.file.origin.spec, pixels, generator.conditions).eval()


@dataclass(frozen=True)
class Inputs:
    """The inputs of a model: latents, float32 ``(N, d)``, and labels, if it is conditional.

    Labels are classes int64 ``(N,)``, or conditions float32 ``(N, K)`` in the user's units.
    """

    latents: Tensor
    labels: Tensor | None

    def rows(self, start: int, stop: int) -> "Inputs":
        """Rows ``start`` to ``stop``, exclusive."""
        return Inputs(self.latents[start:stop], None if self.labels is None else self.labels[start:stop])

    def tensors(self) -> tuple[Tensor, ...]:
        """The inputs as positional arguments."""
        return (self.latents,) if self.labels is None else (self.latents, self.labels)

    @property
    def names(self) -> list[str]:
        """Names of the inputs, in order."""
        if self.labels is None:
            return [LATENTS]
        return [LATENTS, CONDITIONS if self.labels.is_floating_point() else LABELS]

    def named(self) -> dict[str, np.ndarray]:
        """The inputs as arrays, by name."""
        return {name: each.numpy() for name, each in zip(self.names, self.tensors(), strict=True)}


def numbered_inputs(generator: LoadedGenerator, numbers: Sequence[int], seed: int = 0) -> Inputs:
    """The inputs of the images with these numbers; classes, or known rows of conditions, take turns."""
    latents = numbered_latents(seed, numbers, generator.latent_dim)
    if generator.conditions is not None:
        return Inputs(latents, torch.tensor(generator.conditions.rows_of(numbers)))
    labels = default_labels(numbers, generator.choices)
    return Inputs(latents, None if labels is None else torch.tensor(labels))


def description(generator: LoadedGenerator, pixels: bool, precision: str, sha256: str) -> dict[str, str]:
    """The metadata in a model's file; ``sha256`` is that of the generator's own file."""
    origin = generator.file.origin
    channels, height, width = origin.spec.shape
    images = f"uint8 (N, {height}, {width}, {channels})" if pixels else f"float32 (N, {channels}, {height}, {width})"
    inputs = f"{LATENTS} float32 (N, {generator.latent_dim}) ~ N(0, I)"
    if generator.classes:
        inputs += f"; {LABELS} int64 (N)"
    if generator.conditions is not None:
        inputs += f"; {CONDITIONS} float32 (N, {len(generator.conditions.names)})"
    output = f"{IMAGES} {images}{'' if pixels else ' in [-1, 1]'}"
    return {
        "format": FORMAT,
        "gancli": __version__,
        "recipe": origin.recipe,
        "data": Path(origin.data).name,
        "steps": str(generator.file.steps),
        "inputs": inputs,
        "output": output if origin.spec.point_scale is None else f"{POINTS} float32 (N, 2)",
        "latent_dim": str(generator.latent_dim),
        "classes": json.dumps(list(generator.classes), ensure_ascii=False),
        **({"conditions": json.dumps(generator.ranges, ensure_ascii=False)} if generator.conditions else {}),
        "precision": precision,
        "generator": generator.identity,
        "sha256": sha256,
        "licence": LICENCE,
    }
