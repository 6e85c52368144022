"""Training in several stages: the modules that a stage trains, and data encoded for a stage."""

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from gancli.functional.losses import at_least_fp32
from gancli.functional.pixels import moved
from gancli.machine import devices
from gancli.randomness import generator
from gancli.recipes.base import Recipe, Stage
from gancli.steps.batches import ResidentImages
from gancli.steps.state import TrainState

CHUNK = 256
"""Images to encode at once; constant, so that latents are bitwise the same after a resume."""
MAX_FITTED = 10_000
"""Images at most whose codes something is fitted to."""


def borders(recipe: Recipe, images_per_step: int, steps: int) -> list[tuple[int, Stage]]:
    """The stages of a training of so many steps, in order, each with its first step."""
    stages: list[tuple[int, Stage]] = []
    end = steps
    while end > 0:
        stage = recipe.stage((end - 1) * images_per_step)
        end = math.ceil(stage.begins / images_per_step)
        stages.insert(0, (end, stage))
    return stages


def part_of(state: TrainState, stage: Stage) -> TrainState:
    """The state with the modules that a stage names as networks; shares tensors, optimizers and scaler."""
    if not stage.g and not stage.d:
        return state
    g, d, ema = state.g.get_submodule(stage.g), state.d.get_submodule(stage.d), state.ema.get_submodule(stage.g)
    return replace(state, g=g, d=d, ema=ema)


@torch.no_grad()
def encoded(images: ResidentImages, encoder: nn.Module, stage: Stage, device: torch.device) -> ResidentImages:
    """Latents of all versions of the images, on the device, as a source of real batches.

    They depend on the encoder's weights, the images and the seed alone.
    """
    versions = [
        torch.cat([
            at_least_fp32(encoder(_version(images, rows, version, stage.shift, device)))
            for rows in torch.arange(len(images.images)).split(CHUNK)
        ])
        for version in range(stage.versions)
    ]  # fmt: skip
    labels = None if images.labels is None else torch.cat([images.labels.to(device)] * stage.versions)
    return replace(images, images=torch.cat(versions), labels=labels, mirror=False, _orders={})


@torch.no_grad()
def codes(images: ResidentImages, encoder: nn.Module, device: torch.device) -> Tensor:
    """Codes ``(n, versions, ...)`` of all images, or of `MAX_FITTED` at even distances.

    A run that mirrors images has a second version of each, which is mirrored.
    """
    count = len(images.images)
    n = min(count, MAX_FITTED)
    chosen = torch.arange(n) * count // n
    return torch.stack([
        torch.cat([
            at_least_fp32(encoder(_version(images, rows, version, 0, device))) for rows in chosen.split(CHUNK)
        ])
        for version in range(2 if images.mirror else 1)
    ], 1)  # fmt: skip


def _version(images: ResidentImages, rows: Tensor, version: int, shift: int, device: torch.device) -> Tensor:
    """These images, float in [-1, 1]; odd versions are mirrored, all except version 0 are shifted."""
    where = devices.sent(rows, images.images.device) if isinstance(images.images, Tensor) else rows
    floats = replace(images, mirror=False).finished(images.images[where].to(device), None, 0).images
    if images.mirror and version % 2:
        floats = floats.flip(3)
    if version == 0 or not shift:
        return floats
    drawn = generator(images.seed, "versions", version, int(rows[0]))
    shifts = torch.randint(-shift, shift + 1, (len(rows), 2), generator=drawn)
    return moved(floats, devices.sent(shifts, device))
