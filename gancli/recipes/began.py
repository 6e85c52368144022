"""BEGAN: D is an autoencoder, whose errors on real and on generated images are kept in balance."""

import math
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from typing_extensions import override

from gancli import whole_batch
from gancli.functional import losses
from gancli.models.convolutional import Shape, cropped, doublings
from gancli.recipes.base import Batch, Loss, Rates, Recipe, Spec, hyper


def pair(before: int, after: int) -> list[nn.Module]:
    """Two 3 x 3 convolutions with ELU."""
    layers: list[nn.Module] = []
    for channels in (before, after):
        layers += [nn.Conv2d(channels, after, 3, padding=1), nn.ELU()]
    return layers


class Decoder(nn.Module):
    """A linear layer to a small map, then pairs of convolutions and doublings; used by G and by D."""

    def __init__(self, inputs: int, width: int, shape: Shape) -> None:
        super().__init__()
        times, self.size = doublings(shape), shape[1:]
        self.base = tuple(-(-side // 2**times) for side in self.size)
        self.project = nn.Linear(inputs, width * self.base[0] * self.base[1])
        layers: list[nn.Module] = []
        for _ in range(times):
            layers += [*pair(width, width), nn.Upsample(scale_factor=2)]
        self.layers = nn.Sequential(*layers, *pair(width, width), nn.Conv2d(width, shape[0], 3, padding=1))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents ``(N, inputs)`` -> unbounded images ``(N, C, H, W)``."""
        return cropped(self.layers(self.project(latents).unflatten(1, (-1, *self.base))), *self.size)


class Generator(Decoder):
    """The decoder, after normal latents are made uniform in [-1, 1]."""

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Normal latents ``(N, inputs)`` -> unbounded images ``(N, C, H, W)``."""
        return super().forward(torch.erf(latents / math.sqrt(2)))


class Autoencoder(nn.Module):
    """An encoder whose channels grow by ``width`` with each halving, and a decoder; its logit is minus its error."""

    balance: Tensor
    """k_t of eq. 5; a part of the training's state."""

    def __init__(self, hidden: int, width: int, shape: Shape) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(shape[0], width, 3, padding=1), nn.ELU()]
        height, across = shape[1:]
        channels = width
        for number in range(doublings(shape)):
            layers += [*pair(channels, channels), nn.Conv2d(channels, width * (number + 2), 3, 2, 1), nn.ELU()]
            channels, height, across = width * (number + 2), (height + 1) // 2, (across + 1) // 2
        self.encoder = nn.Sequential(
            *layers, *pair(channels, channels), nn.Flatten(), nn.Linear(channels * height * across, hidden)
        )
        self.decoder = Decoder(hidden, width, shape)
        self.register_buffer("balance", torch.zeros(()))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images ``(N, C, H, W)`` -> minus the mean absolute error of each, ``(N,)``: eq. 1 with eta = 1."""
        return -losses.at_least_fp32(self.decoder(self.encoder(images)) - images).abs().flatten(1).mean(1)


@dataclass(frozen=True)
class BEGAN(Recipe):
    """Berthelot et al. 2017, eq. 5.

    Differs from the paper:
    - z is drawn from N(0, I) and made uniform.
    - Layers have 32 channels, not 128, and the smallest maps are 4 to 7 pixels wide, not 8.
    - The networks step in turn, and k follows the images of D's step. The paper's step at once, and k follows G's.
    - Learning rates are constant; the paper halves them when its measure of convergence stalls.
    """

    title: ClassVar[str] = "Boundary equilibrium GAN"
    paper: ClassVar[str] = "Berthelot, Schumm and Metz 2017, BEGAN, arXiv:1703.10717"
    when: ClassVar[str] = "smooth, blurred pictures with one knob between variety and quality"
    border_at_zero: ClassVar[bool] = False
    separable: ClassVar[bool] = False
    batch_size: ClassVar[int] = 16
    draws_points: ClassVar[bool] = False

    latent_dim: int = 64
    g_lr: float = 1e-4
    d_lr: float = 1e-4
    gamma: float = hyper(
        0.7, "target ratio of D's errors on generated and on real images", most=1.0, formerly="diversity"
    )
    lambda_k: float = hyper(0.001, "rate at which the balance k follows", most=1.0, formerly="proportion")
    width: int = hyper(32, "channels of a layer")

    @override
    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        return (
            Generator(self.latent_dim, self.width, spec.shape),
            Autoencoder(self.latent_dim, self.width, spec.shape),
        )

    def d_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """L(x) - k L(G(z)); then k changes by lambda_k (gamma L(x) - L(G(z))), within [0, 1]."""
        d = cast(Autoencoder, d)
        real_logits, fake_logits = d(real.images), d(fake.images)
        real_error, fake_error = -real_logits.mean(), -fake_logits.mean()
        terms = {"real": real_error, "fake": -d.balance.clone() * fake_error}
        with torch.no_grad():
            ahead = whole_batch.average(self.gamma * real_error - fake_error)
            d.balance.add_(self.lambda_k * ahead).clamp_(0, 1)
        return Loss(terms, {"real": real_logits, "fake": fake_logits})

    def g_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """L(G(z)), the autoencoder's error on generated images."""
        return Loss({"adv": -d(fake.images).mean()})


RECIPE = BEGAN
