"""Unrolled GAN: G's loss takes D as it would be a few steps of D later."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer
from typing_extensions import override

from gancli import whole_batch
from gancli.functional import losses
from gancli.models import points, usual
from gancli.recipes.base import Batch, Loss, Rates, Recipe, Spec, hyper

Weights = dict[str, Tensor]
GAIN = 1.4
"""Gain of the orthogonal weights of networks for points."""


class Foreseen(nn.Module):
    """A discriminator with a reference to its Adam, so that its next steps can be computed."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.adam: Optimizer | None = None

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images ``(N, C, H, W)`` -> logits ``(N,)``; labels are ignored."""
        return self.network(images)


def unrolled(network: nn.Module, adam: Optimizer, loss: Callable[[Weights], Tensor], steps: int) -> Weights:
    """The network's weights after ``steps`` steps of ``adam`` down ``loss``, a function of the weights: eq. 7 and 8.

    Gradients flow back through the steps to everything that ``loss`` depends on. The steps start from Adam's present
    moments, as in the authors' code. With zero moments, the first step would be the sign of the gradient, through which
    no gradient flows. Weights without moments do not change: frozen ones, and all of them before Adam's first step.
    """
    options, moments = adam.param_groups[0], adam.state
    rate, (beta1, beta2), epsilon = options["lr"], options["betas"], options["eps"]
    weights = {name: value.detach().clone().requires_grad_() for name, value in network.named_parameters()}
    known = {name: moments[value] for name, value in network.named_parameters() if moments.get(value)}
    means = {name: state["exp_avg"] for name, state in known.items()}
    squares = {name: state["exp_avg_sq"] for name, state in known.items()}
    for ahead in range(1, steps + 1 if known else 1):
        own = torch.autograd.grad(loss(weights), [weights[name] for name in known], create_graph=True)
        gradients = [whole_batch.average(gradient) for gradient in own]
        for (name, state), gradient in zip(known.items(), gradients, strict=True):
            means[name] = beta1 * means[name] + (1 - beta1) * gradient
            squares[name] = beta2 * squares[name] + (1 - beta2) * gradient.square()
            step = state["step"] + ahead
            mean, square = means[name] / (1 - beta1**step), squares[name] / (1 - beta2**step)
            weights[name] = weights[name] - rate * mean / (square + epsilon**2).sqrt()
    return weights


def orthogonal(network: nn.Sequential) -> nn.Sequential:
    """The same network with orthogonal weights times `GAIN` and zero biases."""
    for layer in network:
        if isinstance(layer, nn.Linear):
            nn.init.orthogonal_(layer.weight, GAIN)
            nn.init.zeros_(layer.bias)
    return network


@dataclass(frozen=True)
class Unrolled(Recipe):
    """Metz et al. 2017: G minimises V(G, D) for the D that is K steps ahead, f_K of eq. 9 and 10.

    For points, networks and latent are those of the authors' code for the ring. For pictures they are DCGAN's, a
    quarter as wide, and D has no normalisation.

    Differs from the authors' code:
    - For points the batch is a quarter as large, and D's learning rate is ten times theirs (1e-4).
    - D steps before G, so G sees D one step further ahead than in eq. 11 and 12, where both step from the same D.
    """

    title: ClassVar[str] = "Unrolled GAN"
    paper: ClassVar[str] = "Metz et al. 2017, Unrolled Generative Adversarial Networks, arXiv:1611.02163"
    when: ClassVar[str] = "to see dropped modes return; each step of G costs as many of D as are unrolled"
    separable: ClassVar[bool] = False
    point_batch_size: ClassVar[int] = 128

    unroll: int = hyper(5, "K, the steps of D that G looks ahead; 0: none", least=0)
    latent_dim: int = hyper(0, "size of z ~ N(0, I); 0: 100 for pictures, 256 for points")
    g_lr: float = hyper(0.0, "Adam's learning rate for G; 0: 2e-4 for pictures, 1e-3 for points")
    d_lr: float = hyper(0.0, "Adam's learning rate for D; 0: 2e-4 for pictures, 1e-3 for points")
    width: int = hyper(16, "channels of the largest maps, smaller ones have twice as many")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.san:
            raise ValueError("san=true: D's steps ahead of G have no loss of a direction.")

    @override
    def fitted(self, spec: Spec, images: int, length: int) -> Self:
        lr = 1e-3 if spec.is_points else 2e-4
        return replace(
            self,
            latent_dim=self.latent_dim or (256 if spec.is_points else 100),
            g_lr=self.g_lr or lr,
            d_lr=self.d_lr or lr,
        )

    @override
    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        if not spec.is_points:
            g, d = usual.networks(spec.shape, False, self.latent_dim, self.width, d_norm="none")
            return g, Foreseen(d)
        layers = [
            orthogonal(points.perceptron(inputs, outputs, hidden=128, layers=2, activation=nn.Tanh))
            for inputs, outputs in ((self.latent_dim, spec.channels), (spec.channels, 1))
        ]
        g = points.Generator(self.latent_dim, spec.channels, layers[0])
        return g, Foreseen(points.Discriminator(spec.channels, layers[1]))

    def optimizers(self, g: nn.Module, d: nn.Module) -> tuple[Optimizer, Optimizer]:
        """Adam for both; D keeps a reference to its own."""
        assert isinstance(d, Foreseen)
        of_g, of_d = super().optimizers(g, d)
        d.adam = of_d
        return of_g, of_d

    def d_adversarial(self, real: Tensor, fake: Tensor) -> Tensor:
        """Binary cross-entropy."""
        return 2 * losses.logistic_d(real, fake)

    def g_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """V(G, D) for the unrolled D, in fp32; the term of real images depends on G too, through D's weights."""
        d = getattr(d, "_orig_mod", d)  # compiled code can be differentiated only once
        assert isinstance(d, Foreseen) and d.adam is not None
        images = torch.cat([losses.at_least_fp32(real.images), fake.images])

        def of_d(weights: Weights) -> Tensor:
            return self.d_adversarial(*functional_call(d, weights, (images,)).chunk(2))

        with torch.autocast(fake.images.device.type, enabled=False):
            return Loss({"adv": -of_d(unrolled(d, d.adam, of_d, self.unroll))})


RECIPE = Unrolled
