"""The first GAN as tutorials train it on MNIST: two multilayer perceptrons."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import nn

from gancli import losses, penalties
from gancli.models import perceptron, points
from gancli.recipes.base import Batch, Loss, Rates, Recipe, Spec, hyper


@dataclass(frozen=True)
class Vanilla(Recipe):
    """Goodfellow et al. 2014 with the networks, optimizer and order of updates of the well-known tutorial."""

    title: ClassVar[str] = "GAN of two multilayer perceptrons"
    paper: ClassVar[str] = "Goodfellow et al. 2014, Generative Adversarial Nets, arXiv:1406.2661"
    when: ClassVar[str] = "to see how GANs work and fail; small grey images"
    least_steps: ClassVar[int] = 0
    simultaneous: ClassVar[bool] = True

    objective: Literal["minimax", "non-saturating"] = hyper(
        "non-saturating", "what G minimises: log(1 - D(G(z))) as in V(G, D), or -log D(G(z))"
    )
    beta1: float = 0.9
    r1_gamma: float = hyper(0.0, "weight of the gradient penalty R1 on real images (Mescheder 2018); 0: none")

    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        """See `Recipe.networks`."""
        if spec.is_points:
            return points.Generator(self.latent_dim, spec.channels), points.Discriminator(spec.channels)
        return perceptron.Generator(self.latent_dim, spec.shape), perceptron.Discriminator(spec.shape)

    def d_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """Binary cross-entropy, halved, plus R1 if asked for."""
        real_logits, fake_logits = d(torch.cat([real.images, fake.images])).chunk(2)
        terms = {"adv": losses.logistic_d(real_logits, fake_logits)}
        if self.r1_gamma:
            terms["r1"] = self.r1_gamma * penalties.zero_centred(d, real.images, real.labels)
        return Loss(terms, {"real": real_logits, "fake": fake_logits})

    def g_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """The saturating or the non-saturating loss of the paper."""
        objective = losses.minimax_g if self.objective == "minimax" else losses.non_saturating_g
        return Loss({"adv": objective(d(fake.images))})


RECIPE = Vanilla
