"""The first conditional GAN: perceptrons that get the label with the latent or the image.

Labels are classes int64 ``(N,)``, or conditions float ``(N, K)``.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from gancli.functional import losses
from gancli.models.batch_layers import Dropout
from gancli.models.label_layers import label_values
from gancli.models.maxout import Maxout
from gancli.recipes.base import Recipe, Spec, hyper


class Generator(nn.Module):
    """Latent -> 200 units, label -> 1,000 units, both -> 1,200 -> pixels; ReLU, dropout, a sigmoid at the end."""

    def __init__(self, latent_dim: int, dropout: float, spec: Spec) -> None:
        super().__init__()
        self.shape, self.classes = spec.shape, spec.classes
        self.latent, self.label = nn.Linear(latent_dim, 200), nn.Linear(spec.label_values, 1000)
        self.joint = nn.Linear(1200, 1200)
        self.dropout = Dropout(dropout)
        self.pixels = nn.Linear(1200, spec.channels * spec.height * spec.width)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Latents ``(N, latent_dim)`` and labels -> images ``(N, C, H, W)`` in [-1, 1]."""
        label = self.label(label_values(labels, self.classes).to(latents))
        hidden = self.dropout(torch.cat([self.latent(latents), label], 1).relu())
        return (2 * self.pixels(self.dropout(self.joint(hidden).relu())).sigmoid() - 1).unflatten(1, self.shape)


class Discriminator(nn.Module):
    """Maxout layers: 240 units of 5 pieces for the image, 50 of 5 for the label, 240 of 4 for both; dropout."""

    def __init__(self, dropout: float, spec: Spec) -> None:
        super().__init__()
        self.classes = spec.classes
        self.image, self.label = (
            Maxout(spec.channels * spec.height * spec.width, 240, 5),
            Maxout(spec.label_values, 50, 5),
        )
        self.joint = Maxout(290, 240, 4)
        self.dropout = Dropout(dropout)
        self.logit = nn.Linear(240, 1)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` in [-1, 1] and labels -> logits ``(N,)``."""
        image = self.image((0.5 * images + 0.5).flatten(1))
        label = self.label(label_values(labels, self.classes).to(images))
        return self.logit(self.dropout(self.joint(self.dropout(torch.cat([image, label], 1))))).squeeze(1)


@dataclass(frozen=True)
class CGAN(Recipe):
    """Mirza and Osindero 2014, section 4.1, for small images.

    Differs from the paper:
    - The optimizer is Adam, not momentum with a schedule, and z is normal.
    - G has no dropout. With it, samples drawn later (without dropout) depend on the label alone: on digits recall was
      .28 with and .73 without.
    """

    title: ClassVar[str] = "Conditional GAN of two multilayer perceptrons"
    paper: ClassVar[str] = "Mirza and Osindero 2014, Conditional Generative Adversarial Nets, arXiv:1411.1784"
    when: ClassVar[str] = "to see how a label steers a GAN; small grey images"
    batch_size: ClassVar[int] = 100
    conditional: ClassVar[bool] = True
    takes_conditions: ClassVar[bool] = True
    draws_points: ClassVar[bool] = False

    g_lr: float = 1e-3
    d_lr: float = 1e-3
    dropout: float = hyper(0.5, "share of D's activations that are dropped", below=1.0)
    g_dropout: float = hyper(0.0, "share of G's activations that are dropped; 0.5 in the paper", below=1.0)

    @override
    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        return Generator(self.latent_dim, self.g_dropout, spec), Discriminator(self.dropout, spec)

    def d_adversarial(self, real: Tensor, fake: Tensor) -> Tensor:
        """Binary cross-entropy given the label: eq. 2, halved."""
        return losses.logistic_d(real, fake)

    def g_adversarial(self, fake: Tensor) -> Tensor:
        """The non-saturating loss given the label."""
        return losses.non_saturating_g(fake)


RECIPE = CGAN
