"""The first GAN, as tutorials train it on MNIST: two multilayer perceptrons."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn
from typing_extensions import override

from gancli.functional import losses, penalties
from gancli.models import perceptron, points
from gancli.recipes.base import Batch, Rates, Recipe, Spec, hyper


@dataclass(frozen=True)
class Vanilla(Recipe):
    """Goodfellow et al. 2014, with the networks, optimizer and order of updates of a well-known tutorial."""

    title: ClassVar[str] = "GAN of two multilayer perceptrons"
    paper: ClassVar[str] = "Goodfellow et al. 2014, Generative Adversarial Nets, arXiv:1406.2661"
    when: ClassVar[str] = "to see how GANs work and fail; small grey images"
    least_steps: ClassVar[int] = 0
    simultaneous: ClassVar[bool] = True

    objective: Literal["minimax", "non-saturating"] = hyper(
        "non-saturating", "what G minimises: log(1 - D(G(z))) as in V(G, D), or -log D(G(z))"
    )
    beta1: float = 0.9
    r1_gamma: float = hyper(
        0.0,
        "weight of the gradient penalty R1 on real images against the halved loss, so half the gamma of "
        "Mescheder 2018; 0: none",
    )

    @override
    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        if spec.is_points:
            return points.Generator(self.latent_dim, spec.channels), points.Discriminator(spec.channels)
        return perceptron.Generator(self.latent_dim, spec.shape), perceptron.Discriminator(spec.shape)

    def d_adversarial(self, real: Tensor, fake: Tensor) -> Tensor:
        """Binary cross-entropy, halved."""
        return losses.logistic_d(real, fake)

    def g_adversarial(self, fake: Tensor) -> Tensor:
        """The saturating or the non-saturating loss of the paper."""
        return losses.minimax_g(fake) if self.objective == "minimax" else losses.non_saturating_g(fake)

    def d_penalties(self, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> dict[str, Tensor]:
        """R1, if its weight is not 0."""
        return {"r1": self.r1_gamma * penalties.zero_centred(d, real.images, None)} if self.r1_gamma else {}


RECIPE = Vanilla
