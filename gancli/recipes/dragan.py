"""DRAGAN: a gradient penalty around real images, against sharp gradients of D there."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from torch import Tensor, nn
from typing_extensions import override

from gancli.functional import losses, penalties
from gancli.models import convolutional, usual
from gancli.recipes.base import Batch, Rates, Recipe, Spec, hyper


@dataclass(frozen=True)
class DRAGAN(Recipe):
    """Kodali et al. 2017, algorithm 1, with DCGAN's networks and Adam.

    D has no batch normalisation, which would mix the gradients of images. For points in [-1, 1] lambda is 0.1, as for
    the toy data of Gulrajani 2017's code: a D with slope 1 separates them so little that G's points stay together.
    """

    title: ClassVar[str] = "GAN with a gradient penalty around real images"
    paper: ClassVar[str] = "Kodali et al. 2017, On Convergence and Stability of GANs, arXiv:1705.07215"
    when: ClassVar[str] = "fewer dropped modes than DCGAN with one step of D for each of G"
    separable: ClassVar[bool] = False

    penalty: float = hyper(-1.0, "lambda, the weight of (|gradient| - 1)^2; -1: 10 for pictures, 0.1 for points")
    noise: float = hyper(0.15, "deviation of the noise on real images, as a share of that of their values")
    width: int = hyper(0, convolutional.WIDTH)

    @override
    def fitted(self, spec: Spec, images: int, length: int) -> Self:
        return replace(self, penalty=penalties.one_centred_weight(self.penalty, spec.is_points))

    @override
    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        return usual.networks(spec.shape, spec.is_points, self.latent_dim, self.width, d_norm="none")

    def d_adversarial(self, real: Tensor, fake: Tensor) -> Tensor:
        """Binary cross-entropy, not halved, since the paper weights the penalty against it."""
        return 2 * losses.logistic_d(real, fake)

    def g_adversarial(self, fake: Tensor) -> Tensor:
        """The non-saturating loss."""
        return losses.non_saturating_g(fake)

    def d_penalties(self, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> dict[str, Tensor]:
        """The penalty at real images with noise."""
        return {"gp": self.penalty * penalties.one_centred(d, penalties.around(real.images, self.noise), None)}


RECIPE = DRAGAN
