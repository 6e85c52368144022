"""AC-GAN: D also classifies, and G learns to draw the class that its label names."""

from dataclasses import dataclass
from typing import ClassVar, cast

from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from typing_extensions import override

from gancli.functional import losses
from gancli.models import convolutional
from gancli.recipes.base import Batch, Loss, Rates, Recipe, Spec, hyper


class Discriminator(convolutional.Discriminator):
    """DCGAN's discriminator with dropout, and a second head with the logits of the classes."""

    def __init__(self, width: int, spec: Spec, dropout: float) -> None:
        super().__init__(width, spec.shape, dropout=dropout)
        self.classes = nn.Linear(self.feature_count, spec.classes)
        convolutional.initialise(self.classes)

    def logits_and_classes(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images ``(N, C, H, W)`` -> logits ``(N,)`` and logits of the classes ``(N, classes)``."""
        features = self.features(images)
        return self.logit(features).squeeze(1), self.classes(features)


@dataclass(frozen=True)
class ACGAN(Recipe):
    """Odena et al. 2017: L_S and L_C of section 3, with DCGAN's networks and Adam.

    Differs from the paper:
    - D drops half of each layer's activations except the first; the paper's drops of all layers.
    """

    title: ClassVar[str] = "Auxiliary classifier GAN"
    paper: ClassVar[str] = "Odena, Olah and Shlens 2017, Auxiliary Classifier GANs, arXiv:1610.09585"
    when: ClassVar[str] = "labelled images of few classes; draws the class you ask for"
    conditional: ClassVar[bool] = True
    mixes_samples: ClassVar[bool] = True
    draws_points: ClassVar[bool] = False

    dropout: float = hyper(0.5, "share of D's activations that are dropped", below=1.0)
    class_weight: float = hyper(1.0, "weight of the classes' loss L_C")
    width: int = hyper(0, convolutional.WIDTH)

    @override
    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        width = self.width or convolutional.default_width(spec.shape)
        g = convolutional.Generator(self.latent_dim, width, spec.shape, spec.classes)
        return g, Discriminator(width, spec, self.dropout)

    def d_adversarial(self, real: Tensor, fake: Tensor) -> Tensor:
        """-L_S, halved."""
        return losses.logistic_d(real, fake)

    def d_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """-L_S, halved, and -L_C on real and generated images."""
        assert real.labels is not None and fake.labels is not None
        d = cast(Discriminator, d)
        real_logits, real_classes = d.logits_and_classes(real.images)
        fake_logits, fake_classes = d.logits_and_classes(fake.images)
        class_loss = cross_entropy(losses.at_least_fp32(real_classes), real.labels) + cross_entropy(
            losses.at_least_fp32(fake_classes), fake.labels
        )
        terms = {"adv": self.d_adversarial(real_logits, fake_logits), "class": 0.5 * self.class_weight * class_loss}
        return Loss(terms, {"real": real_logits, "fake": fake_logits})

    def g_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """L_S in its non-saturating form, and -L_C."""
        assert fake.labels is not None
        logits, classes = cast(Discriminator, d).logits_and_classes(fake.images)
        class_loss = cross_entropy(losses.at_least_fp32(classes), fake.labels)
        return Loss({"adv": losses.non_saturating_g(logits), "class": self.class_weight * class_loss})


RECIPE = ACGAN
