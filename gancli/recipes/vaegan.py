"""VAE/GAN: a variational autoencoder whose decoder is G, with an error measured in D's features."""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus
from typing_extensions import override

from gancli import whole_batch
from gancli.functional import losses
from gancli.models import convolutional
from gancli.models.batch_layers import BatchNorm2d
from gancli.recipes.base import Batch, Loss, Rates, Recipe, Spec, hyper


class Encoder(nn.Module):
    """Strided convolutions like D's, then mean and log-variance of z given the image."""

    def __init__(self, latent_dim: int, width: int, spec: Spec) -> None:
        super().__init__()
        times = convolutional.doublings(spec.shape)
        layers: list[nn.Module] = []
        for before, after in pairwise([spec.channels, *(width * 2**i for i in range(times))]):
            layers += [nn.Conv2d(before, after, 4, 2, 1), BatchNorm2d(after), nn.ReLU(True)]
        values = after * (spec.height >> times) * (spec.width >> times)
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(values, 2 * latent_dim))
        convolutional.initialise(self)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images ``(N, C, H, W)`` -> mean and log-variance, ``(N, latent_dim)`` each."""
        mean, log_variance = losses.at_least_fp32(self.layers(images)).chunk(2, 1)
        return mean, log_variance


class Generator(convolutional.Generator):
    """DCGAN's generator as the decoder, and an encoder."""

    def __init__(self, latent_dim: int, width: int, spec: Spec) -> None:
        super().__init__(latent_dim, width, spec.shape)
        self.encoder = Encoder(latent_dim, width, spec)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images ``(N, C, H, W)`` in [-1, 1] -> mean and log-variance of z, ``(N, latent_dim)`` each."""
        return self.encoder(images)

    def reconstruct(self, images: Tensor) -> Tensor:
        """Encode images ``(N, C, H, W)``, and decode the mean of their latents."""
        return self(self.encode(images)[0])


def sampled(mean: Tensor, log_variance: Tensor) -> Tensor:
    """A random z for each image, differentiable; draws from torch's global generator."""
    return mean + (0.5 * log_variance).exp() * whole_batch.drawn(torch.randn_like, mean)


def prior_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(q(z|x) || N(0, I)) in nats, the mean over the batch: Kingma and Welling 2014 (arXiv:1312.6114), appendix B.

    Example:
        >>> prior_divergence(torch.full((3, 2), 1.0), torch.zeros(3, 2)).item()  # two dimensions of 1^2 / 2
        1.0
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()


def with_scaled_gradient(values: Tensor, factor: float) -> Tensor:
    """The same values; their gradient is multiplied by ``factor``."""
    return values.detach() + factor * (values - values.detach())


@dataclass(frozen=True)
class VAEGAN(Recipe):
    """Larsen et al. 2016, algorithm 1, with DCGAN's networks. The encoder is part of G and shares its optimizer.

    L_llike is half the squared distance in the features before D's logit.

    Differs from the authors' code:
    - The optimizer is Adam, not RMSProp.
    - Theirs takes features two layers before the logit, before normalisation, and a weight of 1e-5 to 5e-5.
    - z has 64 dimensions, not 128.
    - Theirs skips updates of a network that is too far ahead of the other.
    """

    title: ClassVar[str] = "Variational autoencoder with a GAN's similarity"
    paper: ClassVar[str] = "Larsen et al. 2016, Autoencoding beyond Pixels, arXiv:1512.09300"
    when: ClassVar[str] = "where images are to be encoded and reconstructed too"
    mixes_samples: ClassVar[bool] = True
    augmentable: ClassVar[bool] = False
    reconstructs: ClassVar[bool] = True
    draws_points: ClassVar[bool] = False

    latent_dim: int = 64
    gamma: float = hyper(0.01, "weight of the similarity L_llike against L_GAN for the decoder", least=1e-6)
    width: int = hyper(0, convolutional.WIDTH)

    @override
    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        width = self.width or convolutional.default_width(spec.shape)
        return Generator(self.latent_dim, width, spec), convolutional.Discriminator(width, spec.shape)

    def d_adversarial(self, real: Tensor, fake: Tensor) -> Tensor:
        """Binary cross-entropy."""
        return 2 * losses.logistic_d(real, fake)

    def d_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """-L_GAN, where L_GAN = E[log D(x)] + E[log(1 - D(G(z ~ q)))] + E[log(1 - D(G(z ~ p)))]."""
        g = cast(Generator, g)
        with torch.no_grad():
            rebuilt = losses.at_least_fp32(g(sampled(*g.encode(real.images))))
        real_logits, rebuilt_logits, fake_logits = d(real.images), d(rebuilt), d(fake.images)
        rebuilt_term = softplus(losses.at_least_fp32(rebuilt_logits)).mean()
        adversarial = self.d_adversarial(real_logits, fake_logits) + rebuilt_term
        return Loss({"adv": adversarial}, {"real": real_logits, "fake": fake_logits, "rebuilt": rebuilt_logits})

    def g_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """L_prior + L_llike for the encoder, gamma L_llike - L_GAN for the decoder (non-saturating)."""
        g, d = cast(Generator, g), cast(convolutional.Discriminator, d)
        mean, log_variance = g.encode(real.images)
        z = sampled(mean, log_variance)
        with torch.no_grad():
            wanted = losses.at_least_fp32(d.features(real.images))
        rebuilt = g(with_scaled_gradient(z, 1 / self.gamma))
        error = 0.5 * (losses.at_least_fp32(d.features(rebuilt)) - wanted).square().sum(1).mean()
        fooled = losses.non_saturating_g(d(g(z.detach()))) + losses.non_saturating_g(d(fake.images))
        return Loss({
            "adv": fooled,
            "similarity": self.gamma * error,
            "prior": prior_divergence(mean, log_variance),
        })  # fmt: skip


RECIPE = VAEGAN
