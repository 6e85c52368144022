"""DCGAN: strided convolutions and batch normalisation, scaled to the size of the images."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from gancli import losses
from gancli.models import convolutional, plain
from gancli.recipes.base import Batch, Loss, Rates, Recipe, Spec, hyper


@dataclass(frozen=True)
class DCGAN(Recipe):
    """Radford et al. 2016; a stage fewer or more for each halving or doubling of 64 x 64; z is normal, not uniform, and
    batches have 64 images, as in the well-known PyTorch example, not 128.
    """

    title: ClassVar[str] = "Deep convolutional GAN"
    paper: ClassVar[str] = "Radford, Metz and Chintala 2016, Unsupervised Representation Learning, arXiv:1511.06434"
    when: ClassVar[str] = "a fast, well-understood start for images of up to 64 pixels"
    mixes_samples: ClassVar[bool] = True

    width: int = hyper(0, convolutional.WIDTH)

    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        """See `Recipe.networks`."""
        return plain.networks(spec.shape, spec.is_points, self.latent_dim, self.width)

    def d_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """Binary cross-entropy; real and fake pass D apart, so that each is normalised by its own statistics."""
        real_logits, fake_logits = d(real.images), d(fake.images)
        return Loss({"adv": losses.logistic_d(real_logits, fake_logits)}, {"real": real_logits, "fake": fake_logits})

    def g_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """The non-saturating loss."""
        return Loss({"adv": losses.non_saturating_g(d(fake.images))})


RECIPE = DCGAN
