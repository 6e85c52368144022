"""A conditional GAN whose D projects its features onto an embedding of the label, with SNGAN's networks."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from typing_extensions import override

from gancli.functional import losses
from gancli.models import residual
from gancli.recipes.base import Recipe, Spec, hyper


@dataclass(frozen=True)
class Projection(Recipe):
    """Miyato and Koyama 2018: the hinge loss, spectral normalisation, conditional batch normalisation in G.

    Differs from the authors' code:
    - The networks are SNGAN's, a quarter as wide by default for CPUs; theirs are for ImageNet.
    - Learning rates are constant; theirs fall linearly to zero.
    - G's step draws as many images as D's; theirs draws twice as many.
    """

    title: ClassVar[str] = "Class-conditional GAN with a projection discriminator"
    paper: ClassVar[str] = "Miyato and Koyama 2018, cGANs with Projection Discriminator, arXiv:1802.05637"
    when: ClassVar[str] = "labelled images; draws the class you ask for, without an extra classifier"
    conditional: ClassVar[bool] = True
    takes_conditions: ClassVar[bool] = True
    draws_points: ClassVar[bool] = False

    latent_dim: int = 128
    beta1: float = 0.0
    beta2: float = 0.9
    d_steps: int = 5
    width: int = hyper(32, "channels of D's layers; G's have twice as many")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.san:
            raise ValueError("san=true: D's last layer is a sum of two here.")

    @override
    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        return (
            residual.Generator(self.latent_dim, 2 * self.width, spec.shape, spec.classes, spec.conditions),
            residual.Discriminator(self.width, spec.shape, spec.classes, spec.conditions),
        )

    def d_adversarial(self, real: Tensor, fake: Tensor) -> Tensor:
        """The hinge loss."""
        return losses.hinge_d(real, fake)

    def g_adversarial(self, fake: Tensor) -> Tensor:
        """Minus the mean logit."""
        return losses.wasserstein_g(fake)


RECIPE = Projection
