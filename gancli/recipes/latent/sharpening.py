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

REBUILT, SAMPLED = slice(0, None, 2), slice(1, None, 2)
"""Rows of a batch of fakes: reconstructions of real pictures, and samples."""
COMPARED = 2
"""The perceptual distance is that of one reconstruction in so many."""


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

    Half of the fakes are reconstructions, as in Esser et al. 2021 (arXiv:2012.09841), section 3.1. They keep the
    decoder from pleasing D with details that the latents do not ask for. Only the encoder is not trained.
    """

    latents: Hyperparameters = field(default_factory=Hyperparameters)
    """The recipe of the losses of latents, with the weights of all losses."""

    @override
    def schedule(self, images_seen: int) -> Rates:
        """Constant; beta2 too, which the stage before has changed."""
        return replace(super().schedule(images_seen), gamma=self.latents.gamma_end, beta2=self.beta2)

    @override
    def generated(self, g: nn.Module, real: Batch, latents: Tensor, labels: Tensor | None) -> Batch:
        """Reconstructions of noisy latents of real pictures, and samples, in turn."""
        g = cast(Generator, g)
        codes = _encoded(g, real.rows(REBUILT)).images
        codes = codes + self.latents.noise * whole_batch.drawn(torch.randn_like, codes)
        drawn = g.inner(latents[SAMPLED], None if labels is None else labels[SAMPLED])
        both = g.autoencoder.decoder(torch.cat([codes.to(drawn.dtype), drawn]))
        images = torch.empty_like(both)
        images[REBUILT], images[SAMPLED] = both.tensor_split([len(codes)])
        return Batch(images, labels, latents)

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
        """G's losses of pictures and latents, and the autoencoder's loss of the reconstructions."""
        g, judge = cast(Generator, g), cast(Judge, d.judge)
        codes = _encoded(g, real)
        terms = {"adv": self.latents.adversarial * self.g_adversarial(judge(_augmented(fake).images))}
        terms |= _named(self.latents.g_loss(g.inner, cast(nn.Module, d.inner), codes, _drawn(g, fake), rates))
        pairs = fake.images[REBUILT], real.images[REBUILT]
        rebuilt = distances(*pairs, judge.perception, self.latents.perceptual, COMPARED)
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
