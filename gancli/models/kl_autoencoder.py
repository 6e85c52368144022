"""G and D of an autoencoder with a KL penalty (Rombach et al. 2022, arXiv:2112.10752, section 3.1)."""

import torch
from torch import Tensor, nn

from gancli import whole_batch
from gancli.models.autoencoder import Autoencoder, latent_shape, widths
from gancli.models.convolutional import Shape
from gancli.models.mixture_prior import MixturePrior
from gancli.models.patch_discriminator import PatchDiscriminator
from gancli.models.perceptual import Perception

FIRST_LOG_VARIANCE = -4.0
"""Log-variance of a code before training: a deviation of .14, beside means of unit variance."""
BOUND = 30.0
"""Largest size of a log-variance."""


class Generator(nn.Module):
    """An autoencoder, the variance of its codes, and a prior of them that samples are drawn from."""

    def __init__(self, shape: Shape, channels: int, width: int, latent_dim: int, components: int) -> None:
        super().__init__()
        self.autoencoder = Autoencoder(shape, channels, width)
        self.log_variance = nn.Conv2d(widths(shape, width)[-1], channels, 1)
        nn.init.zeros_(self.log_variance.weight)
        nn.init.constant_(self.log_variance.bias, FIRST_LOG_VARIANCE)  # type: ignore[arg-type]
        self.prior = MixturePrior(latent_dim, latent_shape(shape, channels), components)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents ``(N, latent_dim)`` -> unbounded images ``(N, C, H, W)``; labels are ignored."""
        return self.autoencoder.decoder(self.prior(latents))

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images ``(N, C, H, W)`` -> mean and log-variance of their codes, ``(N, channels, h, w)`` each."""
        encoder = self.autoencoder.encoder
        maps, colours = encoder.features(images)
        return encoder.code(maps, colours), self.log_variance(maps).clamp(-BOUND, BOUND)

    def rebuilt(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstructions by random codes ``(N, C, H, W)``; means and log-variances ``(N, 2, channels, h, w)``."""
        mean, log_variance = self.encode(images)
        codes = mean + (0.5 * log_variance).exp() * whole_batch.drawn(torch.randn_like, mean)
        return self.autoencoder.decoder(codes), torch.stack([mean, log_variance], 1)

    def reconstruct(self, images: Tensor) -> Tensor:
        """Encode images ``(N, C, H, W)``, and decode the means of their codes."""
        return self.autoencoder(images)

    def keep_encoder(self) -> None:
        """From now on, the encoder is not trained."""
        for module in (self.autoencoder.encoder, self.log_variance):
            module.eval().requires_grad_(False)


class Discriminator(PatchDiscriminator):
    """A discriminator of patches, and the perceptual distance of the reconstruction loss, which is not trained."""

    def __init__(self, shape: Shape, width: int, perception: Perception | None) -> None:
        super().__init__(shape, width)
        self.perception = perception
