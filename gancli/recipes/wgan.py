"""WGAN: D estimates the Wasserstein distance; clipping its weights keeps it Lipschitz."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer, RMSprop
from typing_extensions import override

from gancli.functional import losses
from gancli.models import convolutional, usual
from gancli.recipes.base import Recipe, Spec, hyper


@dataclass(frozen=True)
class WGAN(Recipe):
    """Arjovsky et al. 2017, algorithm 1, with DCGAN's networks (section 4.2).

    Differs from the authors' code:
    - D always has 5 steps; theirs has 100 for each of G's first 25 steps and every 500th.
    """

    title: ClassVar[str] = "Wasserstein GAN with weight clipping"
    paper: ClassVar[str] = "Arjovsky, Chintala and Bottou 2017, Wasserstein GAN, arXiv:1701.07875"
    when: ClassVar[str] = "to see a loss that follows the samples' quality; wgan-gp trains better"
    border_at_zero: ClassVar[bool] = False
    mixes_samples: ClassVar[bool] = True

    g_lr: float = hyper(5e-5, "RMSProp's learning rate for G")
    d_lr: float = hyper(5e-5, "RMSProp's learning rate for D")
    beta1: float = hyper(0.5, "Adam's, which is not used here", below=1.0)
    beta2: float = hyper(0.999, "Adam's, which is not used here", below=1.0)
    d_steps: int = 5
    clip: float = hyper(0.01, "D's weights stay in [-clip, clip]", least=1e-6)
    width: int = hyper(0, convolutional.WIDTH)

    @override
    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        return usual.networks(spec.shape, spec.is_points, self.latent_dim, self.width)

    def optimizers(self, g: nn.Module, d: nn.Module) -> tuple[Optimizer, Optimizer]:
        """RMSProp, because momentum makes training unstable (section 4.2)."""
        return RMSprop(g.parameters(), lr=self.g_lr), RMSprop(d.parameters(), lr=self.d_lr)

    def d_adversarial(self, real: Tensor, fake: Tensor) -> Tensor:
        """Minus the estimated distance."""
        return losses.wasserstein_d(real, fake)

    def g_adversarial(self, fake: Tensor) -> Tensor:
        """Minus the critic's mean."""
        return losses.wasserstein_g(fake)

    @torch.no_grad()
    def constrain(self, d: nn.Module) -> None:
        """Clip every weight."""
        for parameter in d.parameters():
            if parameter.requires_grad:  # not frozen
                parameter.clamp_(-self.clip, self.clip)


RECIPE = WGAN
