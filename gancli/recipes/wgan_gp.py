"""WGAN-GP: D estimates the Wasserstein distance; a gradient penalty keeps it Lipschitz."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from torch import Tensor, nn
from typing_extensions import override

from gancli.functional import losses, penalties
from gancli.models import convolutional, usual
from gancli.recipes.base import Batch, Rates, Recipe, Spec, hyper


@dataclass(frozen=True)
class WGANGP(Recipe):
    """Gulrajani et al. 2017, algorithm 1, with DCGAN's networks; D has layer normalisation (section 4).

    For points lambda is 0.1, as for the toy data in the authors' code. There beta1 is 0.5, layers have 512 units, and z
    has 2 values.
    """

    title: ClassVar[str] = "Wasserstein GAN with gradient penalty"
    paper: ClassVar[str] = "Gulrajani et al. 2017, Improved Training of Wasserstein GANs, arXiv:1704.00028"
    when: ClassVar[str] = "steady training whose loss follows the quality; five steps of D make it slow"
    border_at_zero: ClassVar[bool] = False

    g_lr: float = 1e-4
    d_lr: float = 1e-4
    beta1: float = 0.0
    beta2: float = 0.9
    d_steps: int = 5
    penalty: float = hyper(-1.0, "lambda, the weight of (|gradient| - 1)^2; -1: 10 for pictures, 0.1 for points")
    width: int = hyper(0, convolutional.WIDTH)

    @override
    def fitted(self, spec: Spec, images: int, length: int) -> Self:
        return replace(self, penalty=penalties.one_centred_weight(self.penalty, spec.is_points))

    @override
    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        return usual.networks(spec.shape, spec.is_points, self.latent_dim, self.width, d_norm="layer")

    def d_adversarial(self, real: Tensor, fake: Tensor) -> Tensor:
        """Minus the estimated distance."""
        return losses.wasserstein_d(real, fake)

    def g_adversarial(self, fake: Tensor) -> Tensor:
        """Minus the critic's mean."""
        return losses.wasserstein_g(fake)

    def d_penalties(self, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> dict[str, Tensor]:
        """The penalty on lines from real to generated images."""
        middle = penalties.between(real.images, fake.images)
        return {"gp": self.penalty * penalties.one_centred(d, middle, None)}


RECIPE = WGANGP
