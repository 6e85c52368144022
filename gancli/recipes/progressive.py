"""Progressive growing: both networks start with tiny images and fade in layers for larger ones."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar, Self, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu, pad
from typing_extensions import override

from gancli.functional import losses, penalties
from gancli.models.convolutional import Shape, cropped, doublings
from gancli.models.equalised import Equalised, convolution, minibatch_deviation, pixel_norm
from gancli.recipes.base import Batch, Loss, Rates, Recipe, Spec, hyper

MAX_CHANNELS = 512


@dataclass(frozen=True)
class Growth:
    """The present size of the networks."""

    level: int
    """Number of doublings of the smallest images."""
    alpha: float
    """Weight of the newest layers, 1 once they are faded in."""


def growth_at(images_seen: int, images_per_phase: float, levels: int) -> Growth:
    """One phase at the smallest size; then, for each doubling, one phase to fade it in and one to keep it.

    Without phases (0) the networks have their full size from the start.

    Example:
        >>> growth_at(images_seen=150, images_per_phase=100, levels=2)  # half-way through the first fading
        Growth(level=1, alpha=0.5)
    """
    if not images_per_phase:
        return Growth(levels, 1.0)
    phase = images_seen / images_per_phase
    level = min(levels, (int(phase) + 1) // 2)
    fading = int(phase) % 2 == 1 and int(phase) < 2 * levels
    return Growth(level, phase % 1 if fading else 1.0)


def faded(before: Tensor, after: Tensor, alpha: float) -> Tensor:
    """(1 - alpha) before + alpha after."""
    return torch.lerp(before, after, alpha) if alpha < 1 else after


class Growing(nn.Module):
    """Base of G and D; the number of images seen, which sets their size, is saved with the weights."""

    def __init__(self, width: int, shape: Shape, images_per_phase: float) -> None:
        super().__init__()
        self.levels, self.size, self.images_per_phase = doublings(shape, least=1), shape[1:], images_per_phase
        self.base = tuple(math.ceil(side / 2**self.levels) for side in self.size)
        self.channels = [min(MAX_CHANNELS, width * 2 ** (self.levels - level)) for level in range(self.levels + 1)]
        self.images_seen = 0

    @property
    def growth(self) -> Growth:
        """The present size of the network."""
        return growth_at(self.images_seen, self.images_per_phase, self.levels)

    def get_extra_state(self) -> Tensor:
        """The number of images seen, for the state_dict."""
        return torch.tensor(self.images_seen)

    def set_extra_state(self, state: Tensor) -> None:
        """Restore the number of images seen."""
        self.images_seen = int(state)


class Generator(Growing):
    """Images of the present size, enlarged to full size."""

    def __init__(self, latent_dim: int, width: int, shape: Shape, images_per_phase: float) -> None:
        super().__init__(width, shape, images_per_phase)
        first = self.channels[0]
        # the paper's gain for this layer, with the fan-in of a 4 x 4 convolution
        self.project = Equalised(nn.Linear(latent_dim, first * self.base[0] * self.base[1]), gain=math.sqrt(2) / 4)
        self.first = convolution(first, first)
        pairs = list(pairwise(self.channels))
        self.entries = nn.ModuleList(convolution(before, after) for before, after in pairs)
        self.exits = nn.ModuleList(convolution(after, after) for _, after in pairs)
        self.to_image = nn.ModuleList(convolution(channels, shape[0], 1, gain=1.0) for channels in self.channels)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents ``(N, latent_dim)`` -> unbounded images ``(N, C, H, W)``; labels are ignored."""
        level, alpha = self.growth.level, self.growth.alpha
        maps = self.project(pixel_norm(latents)).unflatten(1, (-1, *self.base))
        maps = self._activated(self.first, self._activated(None, maps))
        before = maps
        for number in range(level):
            before = maps
            maps = self._activated(self.entries[number], interpolate(maps, scale_factor=2))
            maps = self._activated(self.exits[number], maps)
        images = self.to_image[level](maps)
        if alpha < 1:
            images = faded(interpolate(self.to_image[level - 1](before), scale_factor=2), images, alpha)
        return cropped(interpolate(images, scale_factor=2 ** (self.levels - level)), *self.size)

    @staticmethod
    def _activated(layer: Callable[[Tensor], Tensor] | None, maps: Tensor) -> Tensor:
        return pixel_norm(leaky_relu(layer(maps) if layer else maps, 0.2))


class Discriminator(Growing):
    """Shrinks full-size images to the present size, and computes logits there."""

    def __init__(self, width: int, shape: Shape, images_per_phase: float) -> None:
        super().__init__(width, shape, images_per_phase)
        self.from_image = nn.ModuleList(convolution(shape[0], channels, 1) for channels in self.channels)
        pairs = list(pairwise(self.channels))
        self.entries = nn.ModuleList(convolution(after, after) for _, after in pairs)
        self.exits = nn.ModuleList(convolution(after, before) for before, after in pairs)
        first = self.channels[0]
        self.last = convolution(first + 1, first)
        self.dense = Equalised(nn.Linear(first * self.base[0] * self.base[1], first))
        self.logit = Equalised(nn.Linear(first, 1), gain=1.0)

    def shrunk(self, images: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` at the present size."""
        missing = [side * 2**self.levels - full for side, full in zip(self.base, self.size, strict=True)]
        top, left = missing[0] // 2, missing[1] // 2
        padded = pad(images, (left, missing[1] - left, top, missing[0] - top), mode="replicate")
        return avg_pool2d(padded, 2 ** (self.levels - self.growth.level))

    def logits(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images of the present size -> logits ``(N,)``."""
        level, alpha = self.growth.level, self.growth.alpha
        maps = leaky_relu(self.from_image[level](images), 0.2)
        for number in reversed(range(level)):
            maps = leaky_relu(self.exits[number](leaky_relu(self.entries[number](maps), 0.2)), 0.2)
            maps = avg_pool2d(maps, 2)
            if alpha < 1 and number == level - 1:
                old = leaky_relu(self.from_image[number](avg_pool2d(images, 2)), 0.2)
                maps = faded(old, maps, alpha)
        maps = leaky_relu(self.last(minibatch_deviation(maps)), 0.2)
        return self.logit(leaky_relu(self.dense(maps.flatten(1)), 0.2)).squeeze(1)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images ``(N, C, H, W)`` of full size -> logits ``(N,)``; labels are ignored."""
        return self.logits(self.shrunk(images))


@dataclass(frozen=True)
class Progressive(Recipe):
    """Karras et al. 2018 with WGAN-GP's loss and the drift term of appendix A.1.

    As in the paper, the gradient penalty includes the minibatch deviation, so a gradient contains the effect of an
    image on its group. G's output and D's input always have the full size.

    Differs from the authors' code:
    - Networks and latent are smaller, for CPUs.
    - Adam keeps its state when a size is added; theirs resets it.
    """

    title: ClassVar[str] = "Progressively growing GAN"
    paper: ClassVar[str] = "Karras et al. 2018, Progressive Growing of GANs, arXiv:1710.10196"
    when: ClassVar[str] = "larger images; quick at first, since it begins with tiny ones"
    border_at_zero: ClassVar[bool] = False
    mixes_samples: ClassVar[bool] = True
    draws_points: ClassVar[bool] = False

    latent_dim: int = 128
    g_lr: float = 1e-3
    d_lr: float = 1e-3
    beta1: float = 0.0
    beta2: float = 0.99
    penalty: float = hyper(10.0, "lambda, the weight of (|gradient| - 1)^2")
    drift: float = hyper(0.001, "epsilon, the weight of D(x)^2")
    images_per_phase: float = hyper(
        0.0, "images to fade a size in, and to keep it; 0: grown at half the length", least=1.0
    )
    grown: bool = hyper(False, "start at the full size (set by --init-from, unless images_per_phase is given)")
    width: int = hyper(32, "channels at the full size; each halving doubles them, up to 512")

    @override
    def fitted(self, spec: Spec, images: int, length: int) -> Self:
        phases = 2 * doublings(spec.shape, least=1)
        return replace(self, images_per_phase=self.images_per_phase or max(1.0, length / 2 / phases))

    def continued(self) -> Self:
        """The recipe for full-size networks, unless ``images_per_phase`` is given."""
        return replace(self, grown=self.grown or not self.images_per_phase)

    @override
    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        phase = 0.0 if self.grown else self.images_per_phase
        return (
            Generator(self.latent_dim, self.width, spec.shape, phase),
            Discriminator(self.width, spec.shape, phase),
        )

    @override
    def advance(self, network: nn.Module, images_seen: int) -> None:
        assert isinstance(network, Growing)
        network.images_seen = images_seen

    def d_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """Minus the estimated distance, the gradient penalty at the present size, and the drift of D."""
        d = cast(Discriminator, d)
        seen, drawn = self._real(d, real), d.shrunk(fake.images)
        real_logits, fake_logits = d.logits(seen), d.logits(drawn)
        terms = {
            "adv": losses.wasserstein_d(real_logits, fake_logits),
            "gp": self.penalty * penalties.one_centred(d.logits, penalties.between(seen, drawn), None),
            "drift": self.drift * losses.at_least_fp32(real_logits).square().mean(),
        }
        return Loss(terms, {"real": real_logits, "fake": fake_logits})

    def g_adversarial(self, fake: Tensor) -> Tensor:
        """Minus the critic's mean."""
        return losses.wasserstein_g(fake)

    def _real(self, d: Discriminator, real: Batch) -> Tensor:
        """Real images at the present size, blurred as G's are while it fades in."""
        images, alpha = d.shrunk(real.images), d.growth.alpha
        return faded(interpolate(avg_pool2d(images, 2), scale_factor=2), images, alpha) if alpha < 1 else images


RECIPE = Progressive
