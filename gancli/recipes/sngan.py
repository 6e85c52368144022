"""SNGAN: spectral normalisation of D's weights, the hinge loss and residual networks."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from gancli import losses
from gancli.models import points, residual
from gancli.recipes.base import Recipe, Spec, hyper


@dataclass(frozen=True)
class SNGAN(Recipe):
    """Miyato et al. 2018, the hinge loss with the residual networks of appendix B.4 and their Adam of (0, 0.9).

    The paper's networks for CIFAR-10 have a ``width`` of 128, which a CPU is too slow for.
    """

    title: ClassVar[str] = "GAN with spectral normalisation"
    paper: ClassVar[str] = "Miyato et al. 2018, Spectral Normalization for GANs, arXiv:1802.05957"
    when: ClassVar[str] = "steady training without gradient penalties; five steps of D make it slow"

    latent_dim: int = 128
    beta1: float = 0.0
    beta2: float = 0.9
    d_steps: int = 5
    width: int = hyper(32, "channels of D's layers; G's have twice as many")

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
