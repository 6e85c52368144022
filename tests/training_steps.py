"""A training step on random images, for tests of what happens in it."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from gancli import recipes
from gancli.recipes.base import Recipe, Spec
from gancli.steps import state as training_state
from gancli.steps.batches import Noise, ResidentImages
from gancli.steps.setup import Setup
from gancli.steps.state import TrainState
from gancli.steps.step import Step, fastest_step

CPU = torch.device("cpu")
SPEC = Spec(1, 8, 8)
IMAGES = torch.randint(0, 256, (40, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
"""Forty of them, in batches of eight."""


def small(name: str) -> Recipe:
    """A recipe with narrow networks, where it has a width: r3gan has none for images as small as those of tests."""
    cls = recipes.find(name)
    return cls(width=4) if "width" in cls.__dataclass_fields__ and name != "r3gan" else cls()  # type: ignore[call-arg]


def make_step(
    recipe: Any,
    precision: str = "fp32",
    dtype: torch.dtype = torch.float32,
    spec: Spec = SPEC,
    batch_size: int | None = None,
    device: torch.device = CPU,
    plain: bool = False,
    compiled: bool = False,
    **options: Any,
) -> Step:
    """A step of so many images; in float64 for comparisons that rounding must not blur, with latents of the CPU.

    The default is 8 images, or 2 where D enlarges each to 64 x 64 pixels. ``options`` are fields of `Setup`.
    """
    batch_size = batch_size or (8 if recipe.features is None else 2)
    state = training_state.create(recipe, spec, 0, device, precision)
    if dtype != torch.float32:
        g, d = state.g.to(dtype), state.d.to(dtype)
        optimizers = recipe.optimizers(g, d)
        state = TrainState(g, d, state.ema.to(dtype), *optimizers, state.scaler, state.feedback)
    images = IMAGES if spec is SPEC else torch.rand(40, *spec.shape, generator=torch.Generator().manual_seed(2)) * 2 - 1
    if dtype != torch.float32:
        images = images / 127.5 - 1 if images.dtype == torch.uint8 else images
    images = (images if dtype == torch.float32 else images.to(dtype)).to(device)
    noise = (Noise if dtype == torch.float32 else DoubleNoise)(recipe.latent_values(spec), 0, batch_size, 0, device)
    setup = Setup(recipe, ResidentImages(images, None, batch_size, 0), noise, precision, **options)
    return fastest_step(setup, state, plain=plain, compiled=compiled)


def change(step: Step, **changes: Any) -> None:
    """Give a step another recipe, or whatever else of its set-up, without choosing its way anew."""
    step.setup = replace(step.setup, **changes)


def labelled(step: Step) -> Step:
    """The step with labels of four classes, if its recipe takes them."""
    setup = step.setup
    if setup.recipe.conditional:
        setup.real.labels = (torch.arange(40) % 4).to(setup.noise.device)  # type: ignore[attr-defined]
        change(step, noise=replace(setup.noise, classes=4))
    return step


class DoubleNoise(Noise):
    """The same latents in float64; on every device those that the CPU draws."""

    def draw(self, purpose: str, number: int) -> tuple[Tensor, Tensor | None]:
        latents, labels = Noise.draw(replace(self, device=CPU), purpose, number)
        return latents.double().to(self.device), None if labels is None else labels.to(self.device)


def tensors(network: nn.Module) -> list[Tensor]:
    """Copies of all that a network's state holds."""
    return [value.clone() for value in network.state_dict().values()]
