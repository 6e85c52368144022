"""G and D of a GAN in the latents of an autoencoder, as wholes that take and give pictures."""

from torch import Tensor, nn

from gancli.models import projected
from gancli.models.autoencoder import Autoencoder
from gancli.models.efficientnet_lite0 import Lite0
from gancli.models.perceptual import Perception


class Generator(nn.Module):
    """An autoencoder, and a generator of its latents."""

    def __init__(self, pictures: Autoencoder, inner: nn.Module) -> None:
        super().__init__()
        self.autoencoder, self.inner = pictures, inner

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Random numbers ``(N, latent_dim)`` and labels ``(N,)`` -> unbounded images ``(N, C, H, W)``."""
        return self.autoencoder.decoder(self.inner(latents, labels))

    def reconstruct(self, images: Tensor) -> Tensor:
        """Encode and decode images ``(N, C, H, W)``."""
        return self.autoencoder(images)

    def keep_encoder(self) -> None:
        """From now on, the encoder is not trained."""
        self.autoencoder.encoder.eval().requires_grad_(False)


class Judge(projected.Discriminator):
    """Projected GAN's discriminator of pictures, and a perceptual distance by the same frozen network."""

    def __init__(self, network: Lite0, side: int) -> None:
        super().__init__(network, side)
        self.perception = Perception(network)


class Discriminator(nn.Module):
    """A copy of the encoder, a discriminator of latents, and one of pictures if there is a perceptual distance."""

    def __init__(self, encoder: nn.Module, inner: nn.Module, judge: Judge | None) -> None:
        super().__init__()
        self.encoder, self.inner, self.judge = encoder, inner, judge
        self.sees_pictures = False

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images ``(N, C, H, W)`` and labels ``(N,)`` -> logits ``(N,)``, of their latents unless it sees pictures."""
        if self.sees_pictures and self.judge is not None:
            return self.judge(images, labels)
        return self.inner(self.encoder(images), labels)
