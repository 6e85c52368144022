"""DRAGAN: the non-saturating GAN with a gradient penalty about real images, against sharp gradients of D there."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from gancli import losses, penalties
from gancli.models import convolutional, plain
from gancli.recipes.base import Batch, Loss, Rates, Recipe, Spec, hyper


@dataclass(frozen=True)
class DRAGAN(Recipe):
    """Kodali et al. 2017, algorithm 1, with DCGAN's networks; D has no batch normalisation, which would mix the
    gradients of different images.
    """

    title: ClassVar[str] = "GAN with a gradient penalty about real images"
    paper: ClassVar[str] = "Kodali et al. 2017, On Convergence and Stability of GANs, arXiv:1705.07215"
    when: ClassVar[str] = "fewer dropped modes than DCGAN with one step of D for each of G"

    penalty: float = hyper(10.0, "lambda, the weight of (|gradient| - 1)^2")
    width: int = hyper(0, convolutional.WIDTH)

    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        """See `Recipe.networks`."""
        return plain.networks(spec.shape, spec.is_points, self.latent_dim, self.width, d_norm="none")

    def d_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """Binary cross-entropy plus the penalty at real images with noise."""
        real_logits, fake_logits = d(real.images), d(fake.images)
        near = penalties.around(real.images)
        terms = {
            "adv": losses.logistic_d(real_logits, fake_logits),
            "gp": self.penalty * penalties.one_centred(d, near, None),
        }
        return Loss(terms, {"real": real_logits, "fake": fake_logits})

    def g_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """The non-saturating loss."""
        return Loss({"adv": losses.non_saturating_g(d(fake.images))})


RECIPE = DRAGAN
