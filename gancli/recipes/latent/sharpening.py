"""The last stage of the latent recipe: a discriminator of pictures joins that of latents."""

from dataclasses import dataclass, field, replace
from typing import cast

import torch
from torch import Tensor, nn
from typing_extensions import override

from gancli import whole_batch
from gancli.functional import losses
from gancli.functional.augment import DIFFAUG_NUMBERS, diffaug
from gancli.models.latent_networks import Discriminator, Generator, Judge
from gancli.models.perceptual import Perception
from gancli.recipes.base import Batch, Loss, Rates
from gancli.recipes.latent.hyperparameters import Hyperparameters
from gancli.recipes.projected import Projected

REBUILT = 4
"""One of so many real pictures is rebuilt."""


def distances(
    rebuilt: Tensor, images: Tensor, perception: Perception | None, weight: float, every: int = 1
) -> dict[str, Tensor]:
    """E|x - x'| of pictures and their reconstructions, and the perceptual distance times its weight.

    The perceptual distance is that of one picture in ``every``, because it takes most of the time.
    """
    rebuilt = losses.at_least_fp32(rebuilt)
    terms = {"l1": (rebuilt - images).abs().mean()}
    if perception is not None:
        terms["perceptual"] = weight * perception(rebuilt[::every], images[::every])
    return terms


@dataclass(frozen=True)
class Sharpening(Projected):
    """Projected GAN's losses of pictures, beside those of latents, which keep the variety.

    The decoder must go on rebuilding pictures. Only the encoder is not trained.
    """

    latents: Hyperparameters = field(default_factory=Hyperparameters)
    """The recipe of the losses of latents, with the weights of all losses."""

    @override
    def schedule(self, images_seen: int) -> Rates:
        """Constant; beta2 too, which the stage before has changed."""
        return replace(super().schedule(images_seen), gamma=self.latents.gamma_end, beta2=self.beta2)

    @override
    def d_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """The hinge loss of augmented pictures, plus D's loss of latents."""
        g, d = cast(Generator, g), cast(Discriminator, d)
        of_pictures = super().d_loss(g, cast(Judge, d.judge), _augmented(real), _augmented(fake), rates)
        with torch.no_grad():
            codes = _encoded(g, real), _drawn(g, fake)
        of_latents = self.latents.d_loss(g.inner, d.inner, *codes, rates)
        return replace(of_pictures, terms=of_pictures.terms | _named(of_latents))

    @override
    def g_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """G's losses of pictures and latents, and the autoencoder's loss of every fourth real picture."""
        g, judge = cast(Generator, g), cast(Judge, d.judge)
        codes = _encoded(g, real)
        terms = {"adv": self.latents.adversarial * self.g_adversarial(judge(_augmented(fake).images))}
        terms |= _named(self.latents.g_loss(g.inner, cast(nn.Module, d.inner), codes, _drawn(g, fake), rates))
        images, again = real.images[::REBUILT], g.autoencoder.decoded(codes.images[::REBUILT], self.latents.noise)
        rebuilt = distances(again, images, judge.perception, self.latents.perceptual)
        return Loss(terms | {name: self.latents.rebuilding * value for name, value in rebuilt.items()})


def _encoded(g: Generator, real: Batch) -> Batch:
    with torch.no_grad():
        return Batch(losses.at_least_fp32(g.autoencoder.encoder(real.images)), real.labels)


def _drawn(g: Generator, fake: Batch) -> Batch:
    assert fake.latents is not None
    return Batch(losses.at_least_fp32(g.inner(fake.latents, fake.labels)), fake.labels)


def _named(of_latents: Loss) -> dict[str, Tensor]:
    return {f"latent_{name}": value for name, value in of_latents.terms.items()}


def _augmented(batch: Batch) -> Batch:
    """DiffAugment with new random numbers."""

    def numbers(like: Tensor) -> Tensor:
        return torch.rand(len(like), DIFFAUG_NUMBERS, device=like.device, dtype=like.dtype)

    return replace(batch, images=diffaug(batch.images, whole_batch.drawn(numbers, batch.images)))
