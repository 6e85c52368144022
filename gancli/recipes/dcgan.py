"""DCGAN: strided convolutions and batch normalisation, scaled to the size of the images."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from torch import Tensor, nn
from torch.optim import Optimizer

from gancli import losses
from gancli.recipes.base import Batch, Loss, Rates, Spec, adam, hyper, ramped_half_life


def doublings(spec: Spec) -> int:
    """How often the smallest feature map doubles up to the image: its shorter side is from 4, as in the paper,
    to 7. Images under 16 pixels have two doublings all the same, since one layer makes no discriminator.
    """
    shorter = min(spec.height, spec.width)
    return max(2, math.floor(math.log2(shorter / 4)))


def initialise(module: nn.Module) -> None:
    """Weights from N(0, 0.02^2), gains from N(1, 0.02^2): section 4 of the paper and its authors' code."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)


class Generator(nn.Module):
    """Project the latent to a small map, then double it with transposed convolutions, cropping what is over."""

    def __init__(self, latent_dim: int, width: int, spec: Spec) -> None:
        super().__init__()
        times = doublings(spec)
        self.size = (spec.height, spec.width)
        self.base = (math.ceil(spec.height / 2**times), math.ceil(spec.width / 2**times))
        channels = [width * 2**i for i in reversed(range(times))]
        self.project = nn.Linear(latent_dim, channels[0] * self.base[0] * self.base[1], bias=False)
        layers: list[nn.Module] = [nn.BatchNorm2d(channels[0]), nn.ReLU(True)]
        for before, after in pairwise(channels):
            layers += [
                nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(True),
            ]
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(channels[-1], spec.channels, 4, 2, 1), nn.Tanh())
        initialise(self)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents ``(N, latent_dim)`` -> images ``(N, C, H, W)``; labels are ignored."""
        images = self.layers(self.project(latents).unflatten(1, (-1, *self.base)))
        top, left = ((images.shape[i] - size) // 2 for i, size in zip((2, 3), self.size, strict=True))
        return images[:, :, top : top + self.size[0], left : left + self.size[1]]


class Discriminator(nn.Module):
    """Halve the image with strided convolutions, LeakyReLU of slope 0.2, batch normalisation but at the first."""

    def __init__(self, width: int, spec: Spec) -> None:
        super().__init__()
        times = doublings(spec)
        channels = [width * 2**i for i in range(times)]
        layers: list[nn.Module] = [nn.Conv2d(spec.channels, width, 4, 2, 1), nn.LeakyReLU(0.2, True)]
        for before, after in pairwise(channels):
            layers += [
                nn.Conv2d(before, after, 4, 2, 1, bias=False),
                nn.BatchNorm2d(after),
                nn.LeakyReLU(0.2, True),
            ]
        self.layers = nn.Sequential(*layers)
        self.logit = nn.Linear(channels[-1] * (spec.height >> times) * (spec.width >> times), 1)
        initialise(self)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images ``(N, C, H, W)`` in [-1, 1] -> logits ``(N,)``; labels are ignored."""
        return self.logit(self.layers(images).flatten(1)).squeeze(1)


@dataclass(frozen=True)
class DCGAN:
    """Radford et al. 2016; a stage fewer or more for each halving or doubling of 64 x 64; z is normal, not uniform, and
    batches have 64 images, as in the well-known PyTorch example, not 128.
    """

    title: ClassVar[str] = "Deep convolutional GAN"
    paper: ClassVar[str] = "Radford, Metz and Chintala 2016, Unsupervised Representation Learning, arXiv:1511.06434"
    when: ClassVar[str] = "a fast, well-understood start for images of up to 64 pixels"
    batch_size: ClassVar[int] = 64
    epochs: ClassVar[float] = 100
    least_steps: ClassVar[int] = 3600
    simultaneous: ClassVar[bool] = False
    d_steps: ClassVar[int] = 1
    conditional: ClassVar[bool] = False

    latent_dim: int = hyper(100, "size of z ~ N(0, I)")
    g_width: int = hyper(
        0, "channels of G's largest map, each smaller one has twice as many; 0: 64, or 4 a pixel if fewer"
    )
    d_width: int = hyper(
        0, "channels of D's first layer, each further one has twice as many; 0: 64, or 4 a pixel if fewer"
    )
    g_lr: float = hyper(2e-4, "Adam's learning rate for G")
    d_lr: float = hyper(2e-4, "Adam's learning rate for D")
    beta1: float = hyper(0.5, "Adam's decay of the gradients' mean")
    beta2: float = hyper(0.999, "Adam's decay of the gradients' square")
    ema_half_life: float = hyper(10_000.0, "images after which the averaged generator has forgotten half")

    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        """See `Recipe.networks`."""
        width = min(64, 4 * min(spec.height, spec.width))
        return Generator(self.latent_dim, self.g_width or width, spec), Discriminator(self.d_width or width, spec)

    def optimizers(self, g: nn.Module, d: nn.Module) -> tuple[Optimizer, Optimizer]:
        """See `Recipe.optimizers`."""
        return adam(g, self.g_lr, self.beta1, self.beta2), adam(d, self.d_lr, self.beta1, self.beta2)

    def d_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """Binary cross-entropy; real and fake pass D apart, so that each is normalised by its own statistics."""
        real_logits, fake_logits = d(real.images), d(fake.images)
        return Loss({"adv": losses.logistic_d(real_logits, fake_logits)}, {"real": real_logits, "fake": fake_logits})

    def g_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """The non-saturating loss."""
        return Loss({"adv": losses.non_saturating_g(d(fake.images))})

    def schedule(self, images_seen: int) -> Rates:
        """Constant learning rates."""
        return Rates(self.g_lr, self.d_lr, ramped_half_life(self.ema_half_life, images_seen))


RECIPE = DCGAN
