"""WGAN-GP: D estimates the Wasserstein distance, kept Lipschitz by a penalty between real and generated images."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from gancli import losses, penalties
from gancli.models import convolutional, plain
from gancli.recipes.base import Batch, Loss, Rates, Recipe, Spec, hyper


@dataclass(frozen=True)
class WGANGP(Recipe):
    """Gulrajani et al. 2017, algorithm 1, with DCGAN's networks; D has layer normalisation (section 4)."""

    title: ClassVar[str] = "Wasserstein GAN with gradient penalty"
    paper: ClassVar[str] = "Gulrajani et al. 2017, Improved Training of Wasserstein GANs, arXiv:1704.00028"
    when: ClassVar[str] = "steady training whose loss follows the quality; five steps of D make it slow"

    g_lr: float = 1e-4
    d_lr: float = 1e-4
    beta1: float = 0.0
    beta2: float = 0.9
    d_steps: int = 5
    penalty: float = hyper(10.0, "lambda, the weight of (|gradient| - 1)^2")
    width: int = hyper(0, convolutional.WIDTH)

    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        """See `Recipe.networks`."""
        return plain.networks(spec.shape, spec.is_points, self.latent_dim, self.width, d_norm="layer")

    def d_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """Minus the estimated distance, plus the penalty on the lines from real to generated images."""
        real_logits, fake_logits = d(real.images), d(fake.images)
        middle = penalties.between(real.images, fake.images)
        terms = {
            "adv": losses.wasserstein_d(real_logits, fake_logits),
            "gp": self.penalty * penalties.one_centred(d, middle, None),
        }
        return Loss(terms, {"real": real_logits, "fake": fake_logits})

    def g_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """Minus the critic's mean."""
        return Loss({"adv": losses.wasserstein_g(d(fake.images))})


RECIPE = WGANGP
