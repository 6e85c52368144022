"""StyleGAN2 with adaptive augmentation: styles, lazy regularisation of both networks, labels in both."""

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Self, cast

import torch
from torch import Tensor, nn
from typing_extensions import override

from gancli import whole_batch
from gancli.functional import losses, penalties
from gancli.models.style_discriminator import Discriminator
from gancli.models.style_generator import Generator, channels_of, noise_values
from gancli.recipes.base import Augmentation, Batch, Rates, Recipe, Spec, hyper

FEW_PICTURES = 10_000
"""With fewer training pictures D is augmented and the networks are narrower."""
GAMMA_PER_PIXEL = 0.0002 / 32
"""R1's weight for a pixel of the image: that of the authors' automatic configuration, with batches of 32."""
PATH_DECAY = 0.99
"""Decay of the running mean of path lengths: section 3.2."""


@dataclass(frozen=True)
class StyleGAN2(Recipe):
    """Karras et al. 2020: settings left at 0 follow the size of the images and their number.

    Differs from the authors' code:
    - Networks are narrower, for CPUs: 2,048 / side channels at the full size, half of that for few pictures.
    - Convolutions enlarge their output, not their input, and D halves the map before a convolution, not in it; both
      with the authors' filter [1, 3, 3, 1]. Borders are repeated.
    - Noise is a part of the latent, so that a latent gives one image.
    - Path lengths are measured on whole batches every 8 steps, as in the paper; ADA's code has half of one every 4.
    - R1's gradients are with respect to augmented images, if D is augmented.
    """

    title: ClassVar[str] = "StyleGAN2 with ADA: styles, mixing, path lengths"
    paper: ClassVar[str] = "Karras et al. 2020, Analyzing and Improving the Image Quality of StyleGAN, arXiv:1912.04958"
    when: ClassVar[str] = "styles to truncate and mix, and smooth paths between pictures; a GPU, or patience"
    batch_size: ClassVar[int] = 32
    epochs: ClassVar[float] = 400
    least_steps: ClassVar[int] = 20_000
    mixes_samples: ClassVar[bool] = True
    takes_conditions: ClassVar[bool] = True
    draws_points: ClassVar[bool] = False

    conditional: bool = hyper(False, "whether G draws what a label asks for")  # type: ignore[misc]
    latent_dim: int = hyper(0, "size of z ~ N(0, I) and of a style w; 0: the channels of the smallest maps")
    width: int = hyper(0, "channels at the full size; each halving doubles them; 0: by size and number of pictures")
    max_width: int = hyper(0, "channels at most; 0: 512, or 256 for few pictures, or width if that is more")
    mapping_layers: int = hyper(2, "layers of the mapping network")
    noise: bool = hyper(True, "noise inputs of G's layers")
    mixing: float = hyper(0.9, "share of G's images in training with the styles of two latents", most=1.0)
    g_lr: float = 2.5e-3
    d_lr: float = 2.5e-3
    beta1: float = 0.0
    beta2: float = 0.99
    gamma: float = hyper(0.0, "weight of R1; 0: by the size of the images")
    r1_interval: int = hyper(16, "steps from one R1 to the next")
    path_weight: float = hyper(2.0, "weight of the path length regularisation; 0: none")
    path_interval: int = hyper(8, "steps from one path length regularisation to the next")

    @override
    def fitted(self, spec: Spec, images: int, length: int) -> Self:
        few = images < FEW_PICTURES
        width = self.width or max(8, min(64, 2048 // min(spec.height, spec.width)) // (2 if few else 1))
        most = self.max_width or max(width, 256 if few else 512)
        return replace(
            self,
            width=width,
            max_width=most,
            latent_dim=self.latent_dim or channels_of(spec.shape, width, most)[0],
            gamma=self.gamma or GAMMA_PER_PIXEL * spec.height * spec.width,
        )

    def augmentation(self, spec: Spec, images: int) -> Augmentation:
        """ADA for few pictures."""
        return "ada" if images < FEW_PICTURES else "none"

    @override
    def latent_values(self, spec: Spec) -> int:
        return self.latent_dim + (noise_values(spec.shape) if self.noise else 0)

    @override
    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        channels = channels_of(spec.shape, self.width, self.max_width)
        classes, conditions = (spec.classes, spec.conditions) if self.conditional else (0, 0)
        layers, shape = self.mapping_layers, spec.shape
        return (
            Generator(self.latent_dim, channels, shape, classes, layers, self.mixing, self.noise, conditions),
            Discriminator(channels, shape, classes, layers, conditions),
        )

    @property
    def d_interval(self) -> int:
        """Steps from one R1 to the next."""
        return self.r1_interval

    @property
    def g_interval(self) -> int:
        """Steps from one path length regularisation to the next."""
        return self.path_interval if self.path_weight else 0

    def d_adversarial(self, real: Tensor, fake: Tensor) -> Tensor:
        """The cross-entropy, summed over real and generated images."""
        return 2 * losses.logistic_d(real, fake)

    def g_adversarial(self, fake: Tensor) -> Tensor:
        """The non-saturating loss."""
        return losses.non_saturating_g(fake)

    def d_regularisation(self, d: nn.Module, real: Batch, rates: Rates) -> dict[str, Tensor]:
        """R1."""
        return {"r1": self.gamma * penalties.zero_centred(d, real.images, real.labels)}

    def g_regularisation(self, g: nn.Module, d: nn.Module, latents: Tensor, labels: Tensor | None) -> dict[str, Tensor]:
        """The path length regularisation, E[(|J^T y| - a)^2] with the running mean a: equation 4."""
        lengths = path_lengths(cast(Generator, g), latents, labels)
        mean = cast(Discriminator, d).path_length
        with torch.no_grad():
            mean.lerp_(whole_batch.average(lengths.mean()).to(mean.dtype), 1 - PATH_DECAY)
        return {"path": self.path_weight * (lengths - mean.clone()).square().mean()}


def path_lengths(g: Generator, latents: Tensor, labels: Tensor | None) -> Tensor:
    """|J^T y| ``(N,)`` for latents ``(N, latent_dim)``: how far random pixels y move the styles; at least float32.

    With y ~ N(0, I / pixels) and the mean over an image's L styles, a weight of 2 is the one of appendix B,
    ln 2 / (r^2 (ln r - ln 2)) for r^2 pixels, since L = 2 log2 r - 2.
    """
    with torch.autocast(latents.device.type, enabled=False):
        styles = (g.mixed if g.mixing else g.mapping)(latents, labels)
        images = g.synthesis(styles, latents)
        noise = whole_batch.drawn(torch.randn_like, images) / math.sqrt(images.shape[2] * images.shape[3])
        (gradients,) = torch.autograd.grad((images * noise).sum(), styles, create_graph=True)
        return gradients.square().sum(2).mean(1).clamp_min(penalties.MIN_SQUARED_NORM).sqrt()


RECIPE = StyleGAN2
