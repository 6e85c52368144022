"""The techniques of "Improved Techniques for Training GANs" on DCGAN's networks, each with a switch."""

from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from typing_extensions import override

from gancli import whole_batch
from gancli.functional import losses
from gancli.models import convolutional
from gancli.recipes.base import Batch, Loss, Rates, Recipe, Spec, hyper

REFERENCE = 32
"""Size of the reference batch of virtual batch normalisation."""


class MinibatchDiscrimination(nn.Module):
    """Features of the distance from each image to the others of the batch: section 3.2."""

    def __init__(self, inputs: int, kernels: int = 16, dimensions: int = 8) -> None:
        super().__init__()
        self.tensor = nn.Parameter(0.02 * torch.randn(inputs, kernels, dimensions))

    def forward(self, features: Tensor) -> Tensor:
        """``(N, inputs)`` -> o(x) ``(N, kernels)``, the sum over the batch of exp(-|M_i - M_j|_1)."""
        matrices = torch.einsum("na,abc->nbc", features, self.tensor)
        distances = (matrices[:, None] - whole_batch.gathered(matrices)[None]).abs().sum(3)
        return distances.neg().exp().sum(1)


class VirtualBatchNorm(nn.Module):
    """Normalise each map by statistics of the reference batch and the map itself: section 3.5.

    The first `REFERENCE` maps are the reference.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain, self.bias = (nn.Parameter(torch.full((channels, 1, 1), value)) for value in (1.0, 0.0))

    def forward(self, maps: Tensor) -> Tensor:
        """``(REFERENCE + N, C, H, W)`` to the same shape."""
        own = 1 / (REFERENCE + 1)
        values = losses.at_least_fp32(maps)
        values = values - values[:REFERENCE].mean((0, 2, 3), keepdim=True)  # avoids cancellation in the variance
        means, squares = (each.mean((2, 3), keepdim=True) for each in (values, values.square()))
        mean, square = (
            torch.cat([
                each[:REFERENCE].mean(0, keepdim=True).expand(REFERENCE, -1, -1, -1),
                own * each[REFERENCE:] + (1 - own) * each[:REFERENCE].mean(0, keepdim=True),
            ])
            for each in (means, squares)
        )  # fmt: skip
        normalised = (values - mean) * (square - mean.square() + 1e-5).rsqrt() * self.gain + self.bias
        return normalised.to(maps.dtype)


class Generator(nn.Module):
    """DCGAN's generator with virtual batch normalisation; the reference latents are part of its state."""

    reference: Tensor

    def __init__(self, latent_dim: int, width: int, spec: Spec) -> None:
        super().__init__()
        self.network = convolutional.Generator(latent_dim, width, spec.shape)
        layers = self.network.layers
        for place, layer in enumerate(layers):
            if isinstance(layer, nn.BatchNorm2d):
                layers[place] = VirtualBatchNorm(layer.num_features)
        self.register_buffer("reference", torch.randn(REFERENCE, latent_dim))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents ``(N, latent_dim)`` -> images ``(N, C, H, W)``, independent of each other."""
        return self.network(torch.cat([self.reference, latents]))[REFERENCE:]


class History(nn.Module):
    """The average of a network's weights over all past steps, for historical averaging: section 3.3."""

    average: Tensor
    steps: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.register_buffer("average", torch.zeros(sum(p.numel() for p in network.parameters())))
        self.register_buffer("steps", torch.zeros(()))

    def distance(self, network: nn.Module) -> Tensor:
        """Add the weights to the average; return their squared distance to it."""
        weights = torch.cat([parameter.flatten() for parameter in network.parameters()])
        with torch.no_grad():
            self.steps += 1
            self.average += (weights - self.average) / self.steps
        return (weights - self.average.clone()).square().sum()


class Discriminator(convolutional.Discriminator):
    """DCGAN's discriminator, with minibatch discrimination before the logit, and histories of both networks."""

    def __init__(self, width: int, spec: Spec, minibatch: bool) -> None:
        super().__init__(width, spec.shape)
        self.minibatch = MinibatchDiscrimination(self.feature_count) if minibatch else None
        if self.minibatch is not None:
            self.logit = nn.Linear(self.feature_count + self.minibatch.tensor.shape[1], 1)
            convolutional.initialise(self.logit)
        self.histories = nn.ModuleList()

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images ``(N, C, H, W)`` in [-1, 1] -> logits ``(N,)``."""
        features = self.features(images)
        if self.minibatch is not None:
            features = torch.cat([features, self.minibatch(features)], 1)
        return self.logit(features).squeeze(1)


@dataclass(frozen=True)
class Improved(Recipe):
    """Salimans et al. 2016, by default with the techniques of the paper's best samples.

    These are minibatch discrimination, label smoothing and virtual batch normalisation. Feature matching, which the
    paper uses for semi-supervised learning, is optional.

    Differs from the paper:
    - D is not trained on labels too.
    - D keeps DCGAN's batch normalisation with feature matching; the paper's has none.
    - Minibatch discrimination has 16 kernels of 8 values; the authors' code has 100 of 5 or 300 of 50.
    """

    title: ClassVar[str] = "DCGAN with improved techniques"
    paper: ClassVar[str] = "Salimans et al. 2016, Improved Techniques for Training GANs, arXiv:1606.03498"
    when: ClassVar[str] = "to try the classical remedies against collapse, one by one"
    mixes_samples: ClassVar[bool] = True
    draws_points: ClassVar[bool] = False

    feature_matching: bool = hyper(False, "G matches the mean of D's features instead of fooling D (3.1)")
    minibatch_discrimination: bool = hyper(True, "D sees how close the images of a batch are (3.2)")
    historical_averaging: float = hyper(0.0, "coefficient of the distance of all weights to their past average (3.3)")
    real_target: float = hyper(
        0.9, "D's target for real images; below 1 is one-sided label smoothing (3.4)", least=0.5, most=1.0
    )
    virtual_batch_norm: bool = hyper(True, "G normalises by a fixed reference batch (3.5)")
    width: int = hyper(0, convolutional.WIDTH)

    @override
    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        width = self.width or convolutional.default_width(spec.shape)
        g: nn.Module = convolutional.Generator(self.latent_dim, width, spec.shape)
        if self.virtual_batch_norm:
            g = Generator(self.latent_dim, width, spec)
        d = Discriminator(width, spec, self.minibatch_discrimination)
        if self.historical_averaging:
            d.histories.extend([History(d), History(g)])
        return g, d

    def d_adversarial(self, real: Tensor, fake: Tensor) -> Tensor:
        """Binary cross-entropy with a smoothed target for real images, halved."""
        return losses.logistic_d(real, fake, self.real_target)

    def d_penalties(self, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> dict[str, Tensor]:
        """Historical averaging of D, if switched on."""
        return self._history(d, 0, d)

    def g_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """The non-saturating loss, or with feature matching the squared distance of mean features."""
        d = cast(Discriminator, d)
        if not self.feature_matching:
            return Loss({"adv": losses.non_saturating_g(d(fake.images))} | self._history(d, 1, g))
        with torch.no_grad():
            wanted = _mean(d.features(real.images))
        distance = (_mean(d.features(fake.images)) - wanted).square().sum()
        return Loss({"features": distance} | self._history(d, 1, g))

    def _history(self, d: nn.Module, place: int, network: nn.Module) -> dict[str, Tensor]:
        if not self.historical_averaging:
            return {}
        d = cast(Discriminator, d)
        return {"history": self.historical_averaging * d.histories[place].distance(network)}  # type: ignore[operator]


def _mean(features: Tensor) -> Tensor:
    """``(N, features)`` -> ``(features,)``, over the whole batch."""
    return whole_batch.average(losses.at_least_fp32(features).mean(0))


RECIPE = Improved
