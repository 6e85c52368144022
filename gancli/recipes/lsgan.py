"""LSGAN: least squares instead of cross-entropy, so that fakes which D takes for real still have a gradient."""

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from typing_extensions import override

from gancli.functional import losses
from gancli.models import convolutional, usual
from gancli.recipes.base import Recipe, Spec, hyper


@dataclass(frozen=True)
class LSGAN(Recipe):
    """Mao et al. 2017 with DCGAN's networks and Adam's betas of (0.5, 0.999)."""

    title: ClassVar[str] = "Least squares GAN"
    paper: ClassVar[str] = "Mao et al. 2017, Least Squares Generative Adversarial Networks, arXiv:1611.04076"
    when: ClassVar[str] = "a smoother loss than DCGAN's at the same cost"
    border_at_zero: ClassVar[bool] = False
    mixes_samples: ClassVar[bool] = True

    a: float = hyper(0.0, "D's target for generated images", least=-math.inf)
    b: float = hyper(1.0, "D's target for real images", least=-math.inf)
    c: float = hyper(1.0, "D's output for generated images that G aims at", least=-math.inf)
    width: int = hyper(0, convolutional.WIDTH)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.a == self.b:
            raise ValueError(f"a={self.a} and b={self.b}: D has nothing to tell where both targets are the same.")

    @override
    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        return usual.networks(spec.shape, spec.is_points, self.latent_dim, self.width)

    def d_adversarial(self, real: Tensor, fake: Tensor) -> Tensor:
        """Squared distance of D's outputs to a and b."""
        return losses.least_squares_d(real, fake, self.a, self.b)

    def chance(self) -> float | None:
        """The loss of a D that only guesses, whose output is (a + b) / 2."""
        return (self.b - self.a) ** 2 / 4

    def g_adversarial(self, fake: Tensor) -> Tensor:
        """Squared distance of D's outputs to c."""
        return losses.least_squares_g(fake, self.c)


RECIPE = LSGAN
