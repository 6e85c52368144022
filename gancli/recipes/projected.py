"""Projected GAN: four small discriminators on frozen features of pictures, which see shapes from the first step."""

from dataclasses import dataclass
from typing import ClassVar, cast

from torch import Tensor, nn

from gancli.functional import losses
from gancli.models.efficientnet_lite0 import Lite0
from gancli.models.projected import Discriminator
from gancli.models.skip_layer import Generator
from gancli.pretrained import lite0_weights
from gancli.recipes.base import Augmentation, Batch, Loss, Rates, Recipe, Spec, hyper

MIN_SIDE = 64
"""Of what the frozen network sees: fewer pixels leave no map of 4 x 4 on the smallest scale."""


@dataclass(frozen=True)
class Projected(Recipe):
    """Sauer et al. 2021, algorithm of section 3 with the networks of their released code.

    Differs from that code:
    - Pictures are enlarged to 64 pixels, not to 224, at a twelfth of the cost; heads then halve less often.
    - G is FastGAN's in the light form, which they found better on few pictures, at a width of our own.
    - G learns from the images that D saw last, not from new ones.
    - RGBA pictures are shown to D on grounds of random colours, so that it sees what they look like anywhere.
    """

    title: ClassVar[str] = "Projected GAN: D on frozen ImageNet features"
    paper: ClassVar[str] = "Sauer et al. 2021, Projected GANs Converge Faster, arXiv:2111.01007"
    when: ClassVar[str] = "photographs and drawings of things, few or many, and little time"
    least_steps: ClassVar[int] = 10_000
    mixes_samples: ClassVar[bool] = True
    reuses_fakes: ClassVar[bool] = True
    draws_points: ClassVar[bool] = False
    features: ClassVar[str | None] = "lite0"

    latent_dim: int = 256
    beta1: float = 0.0
    beta2: float = 0.99
    width: int = hyper(32, "channels of G at the full size; each halving doubles them, up to 512")
    feature_size: int = hyper(MIN_SIDE, "pixels of the shorter side that D's frozen network sees, at least", MIN_SIDE)
    ema_half_life: float = 20_000.0

    def augmentation(self, spec: Spec, images: int) -> Augmentation:
        """See `Recipe.augmentation`."""
        return "diffaug"

    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        """See `Recipe.networks`."""
        side = max(self.feature_size, min(spec.height, spec.width))
        g = Generator(self.latent_dim, self.width, spec.shape, light=True)
        return g, Discriminator(Lite0(lite0_weights()), side)

    def d_adversarial(self, real: Tensor, fake: Tensor) -> Tensor:
        """The hinge loss."""
        return losses.hinge_d(real, fake)

    def d_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """The hinge loss of every place; real and generated images in passes of their own."""
        d = cast(Discriminator, d)
        places = [losses.at_least_fp32(d.patches(each.images)) for each in (real, fake)]
        return Loss({"adv": self.d_adversarial(*places)}, {"real": places[0].mean(1), "fake": places[1].mean(1)})

    def g_adversarial(self, fake: Tensor) -> Tensor:
        """Minus D's mean."""
        return losses.wasserstein_g(fake)


RECIPE = Projected
