"""Projected GAN: four small discriminators on frozen pretrained features, which know shapes from the first step."""

from dataclasses import dataclass
from typing import ClassVar, cast

from torch import Tensor, nn
from typing_extensions import override

from gancli.functional import losses
from gancli.models.efficientnet_lite0 import Lite0
from gancli.models.projected import Discriminator
from gancli.models.skip_layer import Generator
from gancli.pretrained import lite0_weights
from gancli.recipes.base import Augmentation, Batch, Loss, Rates, Recipe, Spec, hyper

MIN_SIDE = 64
"""Smallest side of the frozen network's input: below it, its smallest map has less than 4 x 4 pixels."""


@dataclass(frozen=True)
class Projected(Recipe):
    """Sauer et al. 2021, section 3, with the networks of their code.

    Differs from that code:
    - Pictures are enlarged to 64 pixels, not 224, at a twelfth of the cost; heads then halve less often.
    - G is FastGAN's in its light form, which the authors prefer for few pictures, with another width.
    - G's step takes the fakes of D's step, not new ones.
    - D sees RGBA pictures on random background colours.
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
    feature_size: int = hyper(MIN_SIDE, "smallest shorter side of the frozen network's input, in pixels", MIN_SIDE)
    ema_half_life: float = 20_000.0

    @override
    def augmentation(self, spec: Spec, images: int) -> Augmentation:
        return "diffaug"

    @override
    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        side = max(self.feature_size, min(spec.height, spec.width))
        g = Generator(self.latent_dim, self.width, spec.shape, light=True)
        return g, Discriminator(Lite0(lite0_weights()), side)

    def d_adversarial(self, real: Tensor, fake: Tensor) -> Tensor:
        """The hinge loss."""
        return losses.hinge_d(real, fake)

    def d_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """The hinge loss of all logits of all heads; real and generated images in separate passes."""
        d = cast(Discriminator, d)
        real_logits, fake_logits = (losses.at_least_fp32(d.patches(each.images)) for each in (real, fake))
        terms = {"adv": self.d_adversarial(real_logits, fake_logits)}
        return Loss(terms, {"real": real_logits.mean(1), "fake": fake_logits.mean(1)})

    def g_adversarial(self, fake: Tensor) -> Tensor:
        """Minus the mean logit."""
        return losses.wasserstein_g(fake)


RECIPE = Projected
