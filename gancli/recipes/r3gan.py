"""R3GAN: the relativistic pairing loss with R1 and R2, plain residual networks, and rates that follow a cosine."""

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu
from typing_extensions import override

from gancli.functional import losses, penalties
from gancli.functional.schedules import half_cosine
from gancli.models import perceptron, points
from gancli.models.convolutional import Shape, cropped, doublings
from gancli.models.resampling import Downsample, Upsample
from gancli.recipes.base import Augmentation, Batch, Loss, Rates, Recipe, Spec, hyper

PERCEPTRON_VALUES = 32 * 32
"""Pictures of at most so many values (channels times pixels) have perceptrons by default."""
PERCEPTRON_GAMMA = 4.0
"""Measured in benchmarks/quality.py."""
GAMMA_POWER = math.log(150 / 0.05) / math.log(256**2 / 32**2)
"""Exponent of the number of pixels through the authors' gammas: .05 at 32 x 32 (CIFAR-10), 150 at 256 x 256 (FFHQ)."""
FEW_PICTURES = 10_000
"""With fewer training pictures D is augmented."""
WIDTH = 64
"""Default channels of a stage."""
SLOPE = 0.2
"""Slope of LeakyReLU below zero."""
GROUP = 16
"""Channels per group of 3 x 3 convolutions, as in the paper's CIFAR-10 networks."""


class BiasedActivation(nn.Module):
    """A bias for each channel, then LeakyReLU; convolutions have no bias of their own."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, maps: Tensor) -> Tensor:
        """``(N, C, H, W)`` to the same shape."""
        return leaky_relu(maps + self.bias, SLOPE)


def convolution(before: int, after: int, size: int, gain: float, groups: int = 1) -> nn.Conv2d:
    """A convolution without bias; its normal weights scale the variance of the input by ``gain``^2."""
    layer = nn.Conv2d(before, after, size, padding=size // 2, groups=groups, bias=False)
    fan_in = layer.weight[0].numel()
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(fan_in))
    return layer


def changed(before: int, after: int) -> list[nn.Module]:
    """A 1 x 1 convolution to another number of channels; empty if they are equal."""
    return [] if before == after else [convolution(before, after, 1, 1.0)]


class Residual(nn.Module):
    """x + W3 act(W2 act(W1 x)): an inverted bottleneck with a grouped convolution W2 (the paper's figure 2).

    Fix-up initialisation (Zhang 2019, arXiv:1901.09321) replaces normalisation: W3 is zero, and W1 and W2 shrink with
    the number of blocks.
    """

    def __init__(self, channels: int, expansion: int, blocks: int) -> None:
        super().__init__()
        inner = max(GROUP, channels * expansion // GROUP * GROUP)
        gain = math.sqrt(2 / (1 + SLOPE**2)) * blocks ** (-1 / 4)
        self.layers = nn.Sequential(
            convolution(channels, inner, 1, gain),
            BiasedActivation(inner),
            convolution(inner, inner, 3, gain, inner // GROUP),
            BiasedActivation(inner),
            convolution(inner, channels, 1, 0.0),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """``(N, C, H, W)`` to the same shape."""
        return maps + self.layers(maps)


class Generator(nn.Module):
    """A learned map scaled by the latent, then stages of residual blocks with doubling between them."""

    def __init__(self, latent_dim: int, widths: list[int], blocks: int, expansion: int, shape: Shape) -> None:
        super().__init__()
        self.size = shape[1:]
        base = [math.ceil(side / 2 ** (len(widths) - 1)) for side in self.size]
        self.basis = nn.Parameter(torch.randn(widths[0], *base))
        self.scale = nn.Linear(latent_dim, widths[0], bias=False)
        nn.init.normal_(self.scale.weight, 0.0, 1 / math.sqrt(latent_dim))
        layers: list[nn.Module] = []
        for place, width in enumerate(widths):
            if place:
                layers += [*changed(widths[place - 1], width), Upsample()]
            layers += [Residual(width, expansion, blocks * len(widths)) for _ in range(blocks)]
        self.layers = nn.Sequential(*layers, convolution(widths[-1], shape[0], 1, 1.0))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents ``(N, latent_dim)`` -> unbounded images ``(N, C, H, W)``; labels are ignored."""
        return cropped(self.layers(self.basis * self.scale(latents)[:, :, None, None]), *self.size)


class Discriminator(nn.Module):
    """The generator's mirror: stages of residual blocks with halving between them, then one logit."""

    def __init__(self, widths: list[int], blocks: int, expansion: int, shape: Shape) -> None:
        super().__init__()
        layers: list[nn.Module] = [convolution(shape[0], widths[-1], 1, 1.0)]
        height, width = shape[1:]
        for place in reversed(range(len(widths))):
            layers += [Residual(widths[place], expansion, blocks * len(widths)) for _ in range(blocks)]
            if place:
                layers += [Downsample(), *changed(widths[place], widths[place - 1])]
                height, width = (height + 1) // 2, (width + 1) // 2
        self.layers = nn.Sequential(*layers)
        self.pool = nn.Conv2d(widths[0], widths[0], (height, width), groups=widths[0], bias=False)
        nn.init.normal_(self.pool.weight, 0.0, 1 / math.sqrt(height * width))
        self.logit = nn.Linear(widths[0], 1, bias=False)
        nn.init.normal_(self.logit.weight, 0.0, 1 / math.sqrt(widths[0]))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images ``(N, C, H, W)`` -> logits ``(N,)``; labels are ignored."""
        return self.logit(self.pool(self.layers(images)).flatten(1)).squeeze(1)


@dataclass(frozen=True)
class R3GAN(Recipe):
    """Huang et al. 2024, without labels. Settings left at 0 or auto depend on the data and the planned length.

    Differs from the authors' code:
    - Pictures of up to `PERCEPTRON_VALUES` have perceptrons, which train on a CPU in minutes instead of hours.
    - Residual networks are 64 channels wide with one block a stage by default; the authors' have 768 and two.
    - All stages have the same width; the authors' FFHQ networks halve it above 32 pixels.
    - Resampling repeats the border; the authors' pads it with zeros.
    - ADA augments small data sets only; the authors augment all, with a probability that grows to .3 to .55.
    - D's gradients are with respect to augmented images; the authors' are with respect to images before it.
    - G's step takes the real images of D's step; the authors' takes new ones.
    - The average's half-life is 1/40 of the length, as in their FFHQ runs; CIFAR-10 and ImageNet have 1/4.
    - For points gamma falls geometrically, to 1/1000.
    """

    title: ClassVar[str] = "Relativistic GAN with R1 and R2"
    paper: ClassVar[str] = "Huang et al. 2024, The GAN is Dead; Long Live the GAN! (R3GAN), arXiv:2501.05441"
    when: ClassVar[str] = "for quality and no dropped modes; the most stable training, at more time a step"
    border_at_zero: ClassVar[bool] = False

    network: Literal["auto", "residual", "perceptron"] = hyper(
        "auto", "networks of pictures; auto: perceptrons for up to 1,024 values, as grey ones of 32 x 32"
    )
    latent_dim: int = hyper(0, "size of z ~ N(0, I); 0: 64 for pictures, 2 for points")
    g_lr: float = hyper(0.0, "Adam's first learning rate for G; 0: 2e-4, 1e-3 for perceptrons")
    d_lr: float = hyper(0.0, "Adam's first learning rate for D; 0: 2e-4, 1e-3 for perceptrons")
    lr_end: float = hyper(0.0, "share of the learning rates that is left; 0: 1/4, 1/10,000 for points", most=1.0)
    beta1: float = 0.0
    beta2: float = hyper(0.0, "Adam's first decay of the gradients' square; 0: 0.9, 0.99 for points", below=1.0)
    beta2_end: float = hyper(0.99, "Adam's last decay of the gradients' square", below=1.0)
    gamma: float = hyper(0.0, "first weight of R1 and of R2; 0: by the network and the size of the images")
    gamma_end: float = hyper(0.0, "last weight of R1 and of R2; 0: a tenth of gamma, a thousandth for points")
    decay_images: float = hyper(0.0, "images over which the rates reach their ends; 0: the planned length")
    width: int = hyper(0, "channels of each stage of residual networks; 0: 64")
    blocks: int = hyper(1, "residual blocks of a stage")
    expansion: int = hyper(2, "channels inside a residual block for each outside")
    ema_half_life: float = hyper(0.0, "last half-life of the averaged generator, in images; 0: 1/40 of decay_images")

    def fitted(self, spec: Spec, images: int, length: int) -> Self:
        """Gamma of residual networks is a power of the number of pixels, see `GAMMA_POWER`.

        At 64 x 64 that gives .72; the authors have 1 for ImageNet and 2 for FFHQ.
        """
        network = self._network_for(spec)
        gamma = self.gamma or 0.05 * (spec.height * spec.width / 32**2) ** GAMMA_POWER
        if not self.gamma and network == "perceptron":
            gamma = 0.05 if spec.is_points else PERCEPTRON_GAMMA
        lr = 1e-3 if network == "perceptron" else 2e-4
        decay = self.decay_images or float(length)
        return replace(
            self,
            network=network,
            latent_dim=self.latent_dim or (2 if spec.is_points else 64),
            g_lr=self.g_lr or lr,
            d_lr=self.d_lr or lr,
            lr_end=self.lr_end or (1e-4 if spec.is_points else 0.25),
            beta2=self.beta2 or (0.99 if spec.is_points else 0.9),
            gamma=gamma,
            gamma_end=self.gamma_end or gamma / (1000 if spec.is_points else 10),
            decay_images=decay,
            width=self.width or WIDTH,
            ema_half_life=self.ema_half_life or decay / 40,
        )

    def _network_for(self, spec: Spec) -> Literal["residual", "perceptron"]:
        """The network for these data; ValueError for settings that it does not have."""
        if spec.is_points and self.network == "residual":
            raise ValueError("network=residual draws pictures, and these are points in the plane.")
        few = math.prod(spec.shape) <= PERCEPTRON_VALUES
        network = self.network if self.network != "auto" else "perceptron" if few else "residual"
        unusual = {"width": self.width not in (0, WIDTH), "blocks": self.blocks != 1, "expansion": self.expansion != 2}
        if network == "perceptron" and any(unusual.values()):
            told = ", ".join(f"{name}={getattr(self, name)}" for name in unusual if unusual[name])
            instead = "." if spec.is_points else "; network=residual does."
            raise ValueError(f"{told}: perceptrons draw these data, which take no such settings{instead}")
        return network

    def augmentation(self, spec: Spec, images: int) -> Augmentation:
        """ADA for few pictures."""
        return "ada" if images < FEW_PICTURES and not spec.is_points else "none"

    @override
    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        if spec.is_points:
            return points.Generator(self.latent_dim, spec.channels), points.Discriminator(spec.channels)
        if self.network == "perceptron":
            return perceptron.Generator(self.latent_dim, spec.shape), perceptron.Discriminator(spec.shape)
        widths = [self.width] * (doublings(spec.shape) + 1)
        return (
            Generator(self.latent_dim, widths, self.blocks, self.expansion, spec.shape),
            Discriminator(widths, self.blocks, self.expansion, spec.shape),
        )

    def d_adversarial(self, real: Tensor, fake: Tensor) -> Tensor:
        """The pairing loss."""
        return losses.relativistic_d(real, fake)

    def d_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """The pairing loss with R1 and R2."""
        images = torch.cat([real.images, fake.images])
        return pairing_with_penalties(d, images, None, rates.gamma)

    def g_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """The pairing loss with the roles exchanged; no gradient through real images."""
        with torch.no_grad():
            real_logits = d(real.images)
        return Loss({"adv": losses.relativistic_g(real_logits, d(fake.images))})

    def schedule(self, images_seen: int) -> Rates:
        """A half cosine from the first to the last value of each; geometric for a gamma that falls far."""
        done = min(1.0, images_seen / self.decay_images)
        gamma = half_cosine(self.gamma, self.gamma_end, done)
        if self.gamma_end < self.gamma / 100:
            gamma = self.gamma * (self.gamma_end / self.gamma) ** done
        return Rates(
            g_lr=half_cosine(self.g_lr, self.g_lr * self.lr_end, done),
            d_lr=half_cosine(self.d_lr, self.d_lr * self.lr_end, done),
            ema_half_life=half_cosine(0.0, self.ema_half_life, done),
            gamma=gamma,
            beta2=half_cosine(self.beta2, self.beta2_end, done),
        )


def pairing_with_penalties(d: nn.Module, images: Tensor, labels: Tensor | None, gamma: float) -> Loss:
    """D's pairing loss plus gamma / 2 times its squared gradients.

    Huang et al. 2024 (arXiv:2501.05441), section 2: RpGAN with R1 and R2. ``images`` are ``(2 N, C, H, W)``, N real
    ones followed by N generated ones.
    """
    logits, squares = penalties.zero_centred_with_logits(d, images, labels)
    real_logits, fake_logits = logits.chunk(2)
    r1, r2 = squares.chunk(2)
    terms = {
        "adv": losses.relativistic_d(real_logits, fake_logits),
        "r1": gamma * r1.mean(),
        "r2": gamma * r2.mean(),
    }
    return Loss(terms, {"real": real_logits, "fake": fake_logits})


RECIPE = R3GAN
