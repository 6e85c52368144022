"""A GAN of an autoencoder's latents; the same run trains the autoencoder first."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self, cast

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from typing_extensions import override

from gancli import whole_batch
from gancli.functional import losses
from gancli.functional.pixels import moved
from gancli.functional.principal import principal_axes
from gancli.functional.schedules import half_cosine, ramped_half_life
from gancli.models import autoencoder, latent_gan
from gancli.models.autoencoder import Autoencoder
from gancli.models.convolutional import Shape
from gancli.models.efficientnet_lite0 import Lite0
from gancli.models.latent_networks import Discriminator, Generator, Judge
from gancli.models.perceptual import CHANNELS
from gancli.pretrained import lite0_weights
from gancli.recipes.base import Batch, Loss, Rates, Spec, Stage
from gancli.recipes.latent.hyperparameters import Hyperparameters
from gancli.recipes.latent.sharpening import Sharpening, distances
from gancli.recipes.projected import MIN_SIDE
from gancli.recipes.r3gan import pairing_with_penalties

FIRST, SECOND, THIRD = "autoencoder", "GAN in its latents", "GAN of pictures"
"""Names of the stages."""
SHARE, MAX_AUTOENCODER_IMAGES = 0.1, 500_000.0
"""Share of the length for the autoencoder, and its images at most."""
LAST_SHARE, MAX_LAST_IMAGES = 0.1, 300_000.0
"""The same for the last stage."""
TIME_SHARES = 0.4, 0.05, 0.55
"""The stages' shares of a run's wall-clock time; a step of the second takes a small part of the others' time."""
MAX_LATENTS = 60_000
"""Latents to keep: the number of pictures times the versions of each."""
MAX_VERSIONS = 8
PERCEPTRON_WIDTH = 384
PERCEIVED = 4
"""The perceptual distance is that of one picture in so many while the autoencoder alone is trained."""
AUTOENCODER_BETA1 = 0.5
"""Adam's decay of the gradients' mean for the autoencoder, in the last stage too."""
SHARPENING_HALF_LIFE = 4000.0
"""Half-life of the average in the last stage, in images."""
NETWORKS = {
    "perceptron": latent_gan.perceptrons,
    "convolutional": latent_gan.convolutions,
    "transformer": latent_gan.transformers,
}


@dataclass(frozen=True)
class Latent(Hyperparameters):
    """First a convolutional autoencoder is trained, then R3GAN on its latents, at last with Projected GAN on pictures.

    - In the second stage G begins as a normal distribution with the latents' mean and principal axes, and refines it.
      The losses and rates of this stage are R3GAN's (Huang et al. 2024, arXiv:2501.05441), with a gamma for
      latents. D sees noisy latents of several versions of each picture.
    - In the last stage, a discriminator of pictures (Sauer et al. 2021, arXiv:2111.01007) joins that of latents, and
      the decoder is trained too. It tells samples and reconstructions from real pictures. Only the encoder stays as it
      is.

    The autoencoder differs from latent diffusion's (Rombach et al. 2022, arXiv:2112.10752):
    - There is no KL divergence: latents have unit variance, and added noise bounds their information.
    - The perceptual term compares features of EfficientNet-Lite0.
    - The adversarial term comes in the last stage, for samples too.
    """

    title: ClassVar[str] = "GAN in the latents of an autoencoder"
    paper: ClassVar[str] = "Rombach et al. 2022, Image Synthesis with Latent Diffusion Models, arXiv:2112.10752"
    when: ClassVar[str] = "colour pictures of 32 to 256 pixels on a CPU; first an autoencoder learns, then a quick GAN"
    batch_size: ClassVar[int] = 32
    epochs: ClassVar[float] = 200
    least_steps: ClassVar[int] = 10_000
    border_at_zero: ClassVar[bool] = False
    augmentable: ClassVar[bool] = False
    reconstructs: ClassVar[bool] = True
    autoencoder_sizes: ClassVar[tuple[str, ...]] = ("channels", "width")
    draws_points: ClassVar[bool] = False

    @override
    def fitted(self, spec: Spec, images: int, length: int) -> Self:
        perceptual = self.perceptual if spec.channels in CHANNELS else 0.0
        adversarial = self.adversarial if perceptual else 0.0
        first = self.autoencoder_images or max(1.0, min(SHARE * length, MAX_AUTOENCODER_IMAGES))
        last = min(LAST_SHARE * length, MAX_LAST_IMAGES) if adversarial else 0.0
        latents = self.latent_images or max(1.0, length - last - (0.0 if self.trained else first))
        decay = self.decay_images or latents
        return replace(
            self,
            autoencoder_images=first,
            latent_images=latents,
            network_width=self.network_width or (PERCEPTRON_WIDTH if self.network == "perceptron" else 64),
            versions=self.versions or max(1, min(MAX_VERSIONS, MAX_LATENTS // images)),
            perceptual=perceptual,
            adversarial=adversarial,
            decay_images=decay,
            ema_half_life=self.ema_half_life or decay / 40,
        )

    def lasting(self, seconds: float, stage_seconds: Sequence[float], images_per_step: int) -> tuple[Self, int]:
        """See `Recipe.lasting`: the stages take `TIME_SHARES` of the time unless their lengths are given."""
        first = int(self.trained)
        names = ("autoencoder_images", "latent_images")[first:]
        return self.in_stages(names, TIME_SHARES[first:], seconds, stage_seconds, images_per_step)

    def continued(self) -> Self:
        """The recipe with a trained autoencoder, which keeps the meaning of the latents."""
        return replace(self, trained=True)

    @property
    def border(self) -> float:
        """Images seen when the GAN begins."""
        return 0.0 if self.trained else self.autoencoder_images

    @property
    def last_border(self) -> float:
        """Images seen when the last stage begins."""
        return self.border + self.latent_images if self.adversarial else math.inf

    @override
    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        pictures = Autoencoder(spec.shape, self.channels, self.width)
        g, d = self._latent_networks(autoencoder.latent_shape(spec.shape, self.channels), spec.classes)
        side = max(MIN_SIDE, min(spec.height, spec.width))
        judge = Judge(Lite0(lite0_weights()), side) if self.perceptual else None
        return Generator(pictures, g), Discriminator(copy.deepcopy(pictures.encoder), d, judge)

    def _latent_networks(self, shape: Shape, classes: int) -> tuple[nn.Module, nn.Module]:
        make = NETWORKS[self.network]
        return make(self.latent_dim, shape, self.network_width, self.blocks, classes if self.conditional else 0)

    def optimizers(self, g: nn.Module, d: nn.Module) -> tuple[Optimizer, Optimizer]:
        """Adam for both; the autoencoder is a parameter group of G with its own betas."""
        g = cast(Generator, g)
        groups = [
            {"params": list(g.autoencoder.parameters()), "betas": (AUTOENCODER_BETA1, self.beta2_end)},
            {"params": list(g.inner.parameters()), "betas": (self.beta1, self.beta2)},
        ]
        of_d = Adam(d.parameters(), self.d_lr, (self.beta1, self.beta2), fused=True)
        return Adam(groups, self.g_lr, fused=True), of_d

    def stage(self, images_seen: int) -> Stage:
        """First the autoencoder, then the networks for latents, then these and the decoder."""
        if images_seen < self.border:
            return Stage(FIRST, g="autoencoder", without_d=True)
        if images_seen >= self.last_border:
            return Stage(THIRD, begins=self.last_border, recipe=self.sharpening)
        return Stage(
            SECOND,
            begins=self.border,
            g="inner",
            d="inner",
            encoder="autoencoder.encoder",
            fits="autoencoder.encoder",
            versions=self.versions,
            shift=self.shift,
        )

    @property
    def rebuilds(self) -> bool:
        """True with a last stage, half of whose fakes are reconstructions."""
        return bool(self.adversarial)

    @property
    def sharpening(self) -> Sharpening:
        """The recipe of the last stage."""
        return Sharpening(
            latents=self,
            latent_dim=self.latent_dim,
            g_lr=self.sharpening_lr,
            d_lr=self.sharpening_lr,
            ema_half_life=SHARPENING_HALF_LIFE,
        )

    @override
    def advance(self, network: nn.Module, images_seen: int) -> None:
        if images_seen < self.last_border:
            return
        if isinstance(network, Generator):
            network.keep_encoder()
        else:
            cast(Discriminator, network).sees_pictures = True

    def begin(self, stage: Stage, g: nn.Module, d: nn.Module, ema: nn.Module) -> None:
        """Copy averaged weights: before the second stage the autoencoder's to G and D, before the last all to G."""
        g, d, ema = cast(Generator, g), cast(Discriminator, d), cast(Generator, ema)
        if stage.name == THIRD:
            g.load_state_dict(ema.state_dict())
        elif stage.name == SECOND:
            g.autoencoder.load_state_dict(ema.autoencoder.state_dict())
            d.encoder.load_state_dict(ema.autoencoder.encoder.state_dict())

    @override
    def fit(self, codes: Tensor, g: nn.Module, ema: nn.Module) -> None:
        """G begins with the mean and the principal axes of the latents; one of another run keeps those that it has."""
        moments = principal_axes(codes.flatten(0, 1).flatten(1).double().cpu(), self.latent_dim)
        for network in (g, ema):
            cast(latent_gan.Generator, cast(Generator, network).inner).fit(*moments)

    def lone_loss(self, g: nn.Module, d: nn.Module, real: Batch, rates: Rates) -> Loss:
        """|x - x'| and the perceptual distance, of randomly shifted pictures x and reconstructions x'."""
        images = moved(real.images, whole_batch.drawn(self._shifts, real.images))
        judge = cast(Discriminator, d).judge
        perception = None if judge is None else judge.perception
        rebuilt = cast(Autoencoder, g)(images, self.noise)
        return Loss(distances(rebuilt, images, perception, self.perceptual, PERCEIVED))

    def d_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """R3GAN's pairing loss, with R1 and R2 on noisy latents."""
        labels = None if real.labels is None or fake.labels is None else torch.cat([real.labels, fake.labels])
        images = torch.cat([self._noisy(real.images), self._noisy(fake.images)])
        return pairing_with_penalties(d, images, labels, rates.gamma)

    def g_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """The pairing loss with the roles exchanged; no gradient through real latents."""
        with torch.no_grad():
            real_logits = d(self._noisy(real.images), real.labels)
        return Loss({"adv": losses.relativistic_g(real_logits, d(self._noisy(fake.images), fake.labels))})

    def d_adversarial(self, real: Tensor, fake: Tensor) -> Tensor:
        """The pairing loss."""
        return losses.relativistic_d(real, fake)

    def _shifts(self, images: Tensor) -> Tensor:
        """Random shifts of each picture, down and right, int64 ``(N, 2)``."""
        return torch.randint(-self.shift, self.shift + 1, (len(images), 2), device=images.device)

    def _noisy(self, latents: Tensor) -> Tensor:
        return latents + self.latent_noise * whole_batch.drawn(torch.randn_like, latents)

    def schedule(self, images_seen: int) -> Rates:
        """A half cosine in each stage."""
        rest = images_seen - self.border
        return self._of_autoencoder(images_seen) if rest < 0 else self._of_gan(rest)

    def _of_autoencoder(self, images_seen: int) -> Rates:
        rate = self.autoencoder_lr * half_cosine(1.0, 1 / 25, images_seen / self.autoencoder_images)
        half_life = ramped_half_life(self.autoencoder_images / 40, images_seen)
        return Rates(rate, self.d_lr, half_life, beta2=self.beta2_end)

    def _of_gan(self, images_seen: float) -> Rates:
        done = images_seen / self.decay_images
        left = half_cosine(1.0, self.lr_end, done)
        return Rates(
            g_lr=self.g_lr * left,
            d_lr=self.d_lr * left,
            ema_half_life=half_cosine(0.0, self.ema_half_life, done),
            gamma=half_cosine(self.gamma, self.gamma_end, done),
            beta2=half_cosine(self.beta2, self.beta2_end, done),
        )


RECIPE = Latent
