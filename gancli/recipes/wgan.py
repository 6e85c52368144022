"""WGAN: D estimates the Wasserstein distance, kept Lipschitz by clipping its weights."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn
from torch.optim import Optimizer, RMSprop

from gancli import losses
from gancli.models import convolutional, plain
from gancli.recipes.base import Batch, Loss, Rates, Recipe, Spec, hyper


@dataclass(frozen=True)
class WGAN(Recipe):
    """Arjovsky et al. 2017, algorithm 1, with DCGAN's networks as in section 4.2; beta1 and beta2 mean nothing here."""

    title: ClassVar[str] = "Wasserstein GAN with weight clipping"
    paper: ClassVar[str] = "Arjovsky, Chintala and Bottou 2017, Wasserstein GAN, arXiv:1701.07875"
    when: ClassVar[str] = "to see a loss that follows the samples' quality; wgan-gp trains better"
    mixes_samples: ClassVar[bool] = True

    g_lr: float = 5e-5
    d_lr: float = 5e-5
    d_steps: int = 5
    clip: float = hyper(0.01, "D's weights stay in [-clip, clip]")
    width: int = hyper(0, convolutional.WIDTH)

    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        """See `Recipe.networks`."""
        return plain.networks(spec.shape, spec.is_points, self.latent_dim, self.width)

    def optimizers(self, g: nn.Module, d: nn.Module) -> tuple[Optimizer, Optimizer]:
        """RMSProp, because momentum made the paper's training unstable (section 4.3)."""
        return RMSprop(g.parameters(), lr=self.g_lr), RMSprop(d.parameters(), lr=self.d_lr)

    def d_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """Minus the estimated distance."""
        real_logits, fake_logits = d(real.images), d(fake.images)
        terms = {"adv": losses.wasserstein_d(real_logits, fake_logits)}
        return Loss(terms, {"real": real_logits, "fake": fake_logits})

    @torch.no_grad()
    def constrain(self, d: nn.Module) -> None:
        """Clip every weight."""
        for parameter in d.parameters():
            parameter.clamp_(-self.clip, self.clip)

    def g_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """Minus the critic's mean."""
        return Loss({"adv": losses.wasserstein_g(d(fake.images))})


RECIPE = WGAN
