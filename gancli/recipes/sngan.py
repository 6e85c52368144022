"""SNGAN: spectral normalisation of D's weights, the hinge loss and residual networks."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from torch import Tensor, nn

from gancli.functional import losses
from gancli.models import points, residual
from gancli.recipes.base import Rates, Recipe, Spec, hyper


@dataclass(frozen=True)
class SNGAN(Recipe):
    """Miyato et al. 2018, the hinge loss with the residual networks of appendix B.4 and their Adam of (0, 0.9).

    The paper's networks for CIFAR-10 have a ``width`` of 128, which a CPU is too slow for. The authors' code lets
    the rates fall linearly to zero over 50,000 steps, as ``lr_end=0`` does over the planned ones; in short runs that
    costs more than it gives (300 steps on digits: coverage .17 with a fall to a hundredth, .32 without). G's step there
    draws twice as many images as D's. Above 32 pixels their networks have more blocks, which widen; these do not.
    """

    title: ClassVar[str] = "GAN with spectral normalisation"
    paper: ClassVar[str] = "Miyato et al. 2018, Spectral Normalization for GANs, arXiv:1802.05957"
    when: ClassVar[str] = "steady training without gradient penalties; five steps of D make it slow"

    latent_dim: int = 128
    beta1: float = 0.0
    beta2: float = 0.9
    d_steps: int = 5
    decay_images: float = hyper(0.0, "images over which the learning rates fall; 0: the planned length")
    lr_end: float = hyper(1.0, "share of the learning rates that is left then; 1: they stay as they are", most=1.0)
    width: int = hyper(32, "channels of D's layers; G's have twice as many")

    def fitted(self, spec: Spec, images: int, length: int) -> Self:
        """See `Recipe.fitted`."""
        return replace(self, decay_images=self.decay_images or float(length))

    def schedule(self, images_seen: int) -> Rates:
        """See `Recipe.schedule`."""
        rates = super().schedule(images_seen)
        done = min(1.0, images_seen / self.decay_images) if self.decay_images else 0.0
        share = 1 - (1 - self.lr_end) * done
        return replace(rates, g_lr=share * rates.g_lr, d_lr=share * rates.d_lr)

    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        """See `Recipe.networks`."""
        if spec.is_points:
            d = points.Discriminator(spec.channels)
            for layer in d.layers:
                if isinstance(layer, nn.Linear):
                    nn.utils.parametrizations.spectral_norm(layer)
            return points.Generator(self.latent_dim, spec.channels), d
        return (
            residual.Generator(self.latent_dim, 2 * self.width, spec.shape),
            residual.Discriminator(self.width, spec.shape),
        )

    def d_adversarial(self, real: Tensor, fake: Tensor) -> Tensor:
        """The hinge loss."""
        return losses.hinge_d(real, fake)

    def g_adversarial(self, fake: Tensor) -> Tensor:
        """Minus D's mean."""
        return losses.wasserstein_g(fake)


RECIPE = SNGAN
