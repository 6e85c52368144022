"""DCGAN: strided convolutions and batch normalisation, scaled to the size of the images."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from typing_extensions import override

from gancli.functional import losses
from gancli.models import convolutional, usual
from gancli.recipes.base import Recipe, Spec, hyper


@dataclass(frozen=True)
class DCGAN(Recipe):
    """Radford et al. 2016, with one layer less or more for each halving or doubling of 64 x 64.

    Differs from the paper, as PyTorch's DCGAN example does:
    - z is normal, not uniform.
    - Kernels are 4 x 4, not 5 x 5, and the largest maps have at most 64 channels, not 128.
    - Batches have 64 images, not 128.
    - G's step takes the fakes of D's step, not new ones.
    """

    title: ClassVar[str] = "Deep convolutional GAN"
    paper: ClassVar[str] = "Radford, Metz and Chintala 2016, Unsupervised Representation Learning, arXiv:1511.06434"
    when: ClassVar[str] = "a fast, well-understood start for images of up to 64 pixels"
    mixes_samples: ClassVar[bool] = True
    reuses_fakes: ClassVar[bool] = True

    width: int = hyper(0, convolutional.WIDTH)

    @override
    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        return usual.networks(spec.shape, spec.is_points, self.latent_dim, self.width)

    def d_adversarial(self, real: Tensor, fake: Tensor) -> Tensor:
        """Binary cross-entropy."""
        return losses.logistic_d(real, fake)

    def g_adversarial(self, fake: Tensor) -> Tensor:
        """The non-saturating loss."""
        return losses.non_saturating_g(fake)


RECIPE = DCGAN
