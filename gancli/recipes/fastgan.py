"""FastGAN, for few images: skip-layer excitation in G, and a D that also learns to reconstruct."""

from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from typing_extensions import override

from gancli import whole_batch
from gancli.functional import losses
from gancli.models.batch_layers import BatchNorm2d
from gancli.models.convolutional import Shape, doublings
from gancli.models.skip_layer import MAX_CHANNELS, Generator, convolution, doubling
from gancli.recipes.base import Augmentation, Batch, Loss, Rates, Recipe, Spec, hyper

DECODED = 128
"""Reconstructions of images whose longer side exceeds this are compared at a smaller size."""


class Halving(nn.Module):
    """The mean of two branches that halve a map, one convolutional and one averaging: figure 4."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.long = nn.Sequential(
            convolution(before, after, 4, 2), BatchNorm2d(after), nn.LeakyReLU(0.2),
            convolution(after, after), BatchNorm2d(after), nn.LeakyReLU(0.2),
        )  # fmt: skip
        self.short = nn.Sequential(
            nn.AvgPool2d(2), convolution(before, after, 1), BatchNorm2d(after), nn.LeakyReLU(0.2)
        )

    def forward(self, maps: Tensor) -> Tensor:
        """``(N, before, H, W)`` -> ``(N, after, H // 2, W // 2)``."""
        return (self.long(maps) + self.short(maps)) / 2


class Decoder(nn.Module):
    """A map to a small image: ``times`` doublings, then tanh."""

    def __init__(self, channels: int, images: int, times: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(times):
            layers += [doubling(channels, max(8, channels // 2))]
            channels = max(8, channels // 2)
        self.layers = nn.Sequential(*layers, convolution(channels, images))

    def forward(self, maps: Tensor) -> Tensor:
        """``(N, channels, h, w)`` -> ``(N, images, h 2^times, w 2^times)``."""
        return self.layers(maps).tanh()


class Discriminator(nn.Module):
    """Halves the image down to a small map of logits; decoders reconstruct the image and a quarter of it."""

    def __init__(self, width: int, shape: Shape) -> None:
        super().__init__()
        times = doublings(shape)
        channels = [min(MAX_CHANNELS, width * 2**level) for level in range(times + 1)]
        self.first = nn.Sequential(convolution(shape[0], channels[0]), nn.LeakyReLU(0.2))
        self.halvings = nn.ModuleList(Halving(channels[level], channels[level + 1]) for level in range(times))
        self.logits = nn.Sequential(
            convolution(channels[-1], channels[-1], 1), BatchNorm2d(channels[-1]), nn.LeakyReLU(0.2),
            convolution(channels[-1], 1),
        )  # fmt: skip
        decoded = times - max(0, (max(shape[1:]) // DECODED).bit_length() - 1)
        self.whole, self.part = Decoder(channels[-1], shape[0], decoded), Decoder(channels[-2], shape[0], decoded - 1)

    def maps(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images ``(N, C, H, W)`` -> the last map and the one before it."""
        maps = [self.first(images)]
        for halving in self.halvings:
            maps.append(halving(maps[-1]))
        return maps[-1], maps[-2]

    def patches(self, last: Tensor) -> Tensor:
        """The last map -> logits of its pixels, ``(N, P)``."""
        return self.logits(last).flatten(1)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images ``(N, C, H, W)`` in [-1, 1] -> the mean logit of each, ``(N,)``; labels are ignored."""
        return self.patches(self.maps(images)[0]).mean(1)

    def reconstruction_error(self, images: Tensor, last: Tensor, before: Tensor) -> Tensor:
        """L1 error of the decoders, for images ``(N, C, H, W)`` and for one random quarter of them."""
        whole = self.whole(last)
        height, width = before.shape[2] // 2, before.shape[3] // 2
        at_bottom, at_right = (torch.rand(2, device=images.device) < 0.5).float().unbind()
        part = self.part(_quarter(before, height, width, at_bottom, at_right))
        h, w = images.shape[2] // 2, images.shape[3] // 2
        wanted = _quarter(images, h, w, at_bottom, at_right)
        error = losses.at_least_fp32(whole - interpolate(images, whole.shape[2:], mode="area")).abs().mean()
        return error + losses.at_least_fp32(part - interpolate(wanted, part.shape[2:], mode="area")).abs().mean()


def _quarter(maps: Tensor, height: int, width: int, at_bottom: Tensor, at_right: Tensor) -> Tensor:
    """One quarter of each map; the choice stays on the device."""
    rows = torch.lerp(maps[:, :, :height], maps[:, :, -height:], at_bottom.to(maps.dtype))
    return torch.lerp(rows[..., :width], rows[..., -width:], at_right.to(maps.dtype))


@dataclass(frozen=True)
class FastGAN(Recipe):
    """Liu et al. 2021, section 3, scaled to the size of the images; with DiffAugment by default.

    Differs from the authors' code:
    - Reconstructions are compared pixel by pixel, not by a perceptual distance, and their error is a mean, not a sum,
      over the batch.
    - D sees large images at full size only, not at a small size too.
    - D has no excitations, and its maps go down to 4 x 4, so that small images have layers too.
    - Noise is added in training only, so that a latent gives one image.
    - DiffAugment cuts holes.
    - The average's half-life is 5,000 images, not 5,541 (.999 a step), also for statistics of batches.
    """

    title: ClassVar[str] = "FastGAN: light networks, self-supervised D"
    paper: ClassVar[str] = "Liu et al. 2021, Towards Faster and Stabilized GAN Training, arXiv:2101.04775"
    when: ClassVar[str] = "few images (100 to 5,000), also large ones, on a small machine"
    batch_size: ClassVar[int] = 8
    least_steps: ClassVar[int] = 20_000
    mixes_samples: ClassVar[bool] = True
    reuses_fakes: ClassVar[bool] = True
    draws_points: ClassVar[bool] = False

    latent_dim: int = 256
    width: int = hyper(32, "channels at the full size; each halving doubles them, up to 512")
    smoothing: float = hyper(0.2, "real targets are drawn from [1 - smoothing, 1], fake ones alike", below=1.0)
    ema_half_life: float = 5000.0

    @override
    def augmentation(self, spec: Spec, images: int) -> Augmentation:
        return "diffaug"

    @override
    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        return Generator(self.latent_dim, self.width, spec.shape), Discriminator(self.width, spec.shape)

    def d_adversarial(self, real: Tensor, fake: Tensor) -> Tensor:
        """The hinge loss with random margins a little below 1, as in the authors' code; the paper's are 1."""
        margins = [1 - self.smoothing * whole_batch.drawn(torch.rand_like, places) for places in (real, fake)]
        return (margins[0] - real).relu().mean() + (margins[1] + fake).relu().mean()

    def d_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """The hinge loss of every pixel of the map of logits, and the reconstruction error of real images."""
        d = cast(Discriminator, d)
        last, before = d.maps(real.images)
        real_places, fake_places = (losses.at_least_fp32(d.patches(maps)) for maps in (last, d.maps(fake.images)[0]))
        terms = {
            "adv": self.d_adversarial(real_places, fake_places),
            "reconstruction": d.reconstruction_error(real.images, last, before),
        }
        return Loss(terms, {"real": real_places.mean(1), "fake": fake_places.mean(1)})

    def g_adversarial(self, fake: Tensor) -> Tensor:
        """Minus the mean logit."""
        return losses.wasserstein_g(fake)


RECIPE = FastGAN
