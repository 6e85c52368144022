"""Unrolled GAN: G looks ahead at what D would answer, a few steps of D later."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from gancli import losses
from gancli.models import convolutional, plain
from gancli.recipes.base import Batch, Loss, Rates, Recipe, Spec, hyper

EPSILON = 1e-8


def unrolled(
    d: nn.Module, real: Tensor, fake: Tensor, steps: int, rate: float, beta1: float, beta2: float
) -> dict[str, Tensor]:
    """D's weights after so many steps on one batch, as functions of ``fake``: eq. 7 and 8 of the paper.

    The steps are Adam's, which the paper trains D with, begun anew.
    """
    weights = {name: value.detach().clone().requires_grad_() for name, value in d.named_parameters()}
    means = {name: torch.zeros_like(value) for name, value in weights.items()}
    squares = {name: torch.zeros_like(value) for name, value in weights.items()}
    for step in range(1, steps + 1):
        loss = losses.logistic_d(functional_call(d, weights, (real,)), functional_call(d, weights, (fake,)))
        gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
        for name, gradient in zip(list(weights), gradients, strict=True):
            means[name] = beta1 * means[name] + (1 - beta1) * gradient
            squares[name] = beta2 * squares[name] + (1 - beta2) * gradient.square()
            mean, square = means[name] / (1 - beta1**step), squares[name] / (1 - beta2**step)
            weights[name] = weights[name] - rate * mean / (square + EPSILON**2).sqrt()
    return weights


@dataclass(frozen=True)
class Unrolled(Recipe):
    """Metz et al. 2017 with DCGAN's networks, D's without normalisation, and perceptrons for points."""

    title: ClassVar[str] = "Unrolled GAN"
    paper: ClassVar[str] = "Metz et al. 2017, Unrolled Generative Adversarial Networks, arXiv:1611.02163"
    when: ClassVar[str] = "to see dropped modes return; each step of G costs as many of D as are unrolled"
    separable: ClassVar[bool] = False

    unroll: int = hyper(5, "steps of D that G looks ahead")
    width: int = hyper(0, convolutional.WIDTH)

    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        """See `Recipe.networks`."""
        return plain.networks(spec.shape, spec.is_points, self.latent_dim, self.width, d_norm="none")

    def d_adversarial(self, real: Tensor, fake: Tensor) -> Tensor:
        """Binary cross-entropy, halved."""
        return losses.logistic_d(real, fake)

    def g_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """The non-saturating loss under D's unrolled weights: eq. 9 with the loss of section 3.

        In fp32, since it goes through gradients of gradients.
        """
        with torch.autocast(fake.images.device.type, enabled=False):
            weights = unrolled(
                d, losses.at_least_fp32(real.images), fake.images, self.unroll, rates.d_lr, self.beta1, self.beta2
            )
            return Loss({"adv": losses.non_saturating_g(functional_call(d, weights, (fake.images,)))})


RECIPE = Unrolled
