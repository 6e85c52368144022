"""PacGAN: D classifies packs of several images, so that it sees if they are too similar."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from torch import Tensor, nn
from typing_extensions import override

from gancli.functional import losses
from gancli.models import convolutional
from gancli.models.batch_layers import BatchNorm1d
from gancli.models.maxout import Maxout
from gancli.recipes.base import Recipe, Spec, hyper


class PointGenerator(nn.Module):
    """The paper's network for ring and grid: four layers of 400 units with batch normalisation and ReLU.

    It computes original coordinates, which are divided by ``scale``.
    """

    def __init__(self, latent_dim: int, coordinates: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        layers: list[nn.Module] = []
        for before in (latent_dim, 400, 400, 400):
            layers += [nn.Linear(before, 400, bias=False), BatchNorm1d(400), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(400, coordinates))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents ``(N, latent_dim)`` -> points ``(N, coordinates, 1, 1)``."""
        return self.layers(latents)[:, :, None, None] / self.scale


class PointDiscriminator(nn.Module):
    """The paper's network for ring and grid: three maxout layers of 200 units with 5 pieces.

    Its input are original coordinates, the points times ``scale``.
    """

    def __init__(self, values: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.layers = nn.Sequential(Maxout(values, 200, 5), Maxout(200, 200, 5), Maxout(200, 200, 5), nn.Linear(200, 1))

    def forward(self, points: Tensor) -> Tensor:
        """Packed points ``(n, values, 1, 1)`` -> logits ``(n,)``."""
        return self.layers(self.scale * points.flatten(1)).squeeze(1)


class Packed(nn.Module):
    """A discriminator of ``pack`` images, stacked along channels."""

    def __init__(self, network: nn.Module, pack: int) -> None:
        super().__init__()
        self.network, self.pack = network, pack

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images ``(N, C, H, W)`` -> logits ``(N // pack,)`` of consecutive images; a remainder is ignored."""
        whole = images[: len(images) // self.pack * self.pack]
        return self.network(whole.reshape(-1, self.pack * images.shape[1], *images.shape[2:]))


@dataclass(frozen=True)
class PacGAN(Recipe):
    """Lin et al. 2018, with the networks of section 4.1 for points and DCGAN's for pictures.

    Differs from the authors' code:
    - The batch size in images does not depend on ``pack``; the authors keep the number of logits.
    - On points the networks step in turn; the authors' step at once, from weights of N(0, 0.02^2).
    """

    title: ClassVar[str] = "GAN with a packed discriminator"
    paper: ClassVar[str] = "Lin et al. 2018, PacGAN: The Power of Two Samples, arXiv:1712.04086"
    when: ClassVar[str] = "where modes are dropped; cheap to add to any GAN"
    batch_size: ClassVar[int] = 128
    point_batch_size: ClassVar[int] = 200
    mixes_samples: ClassVar[bool] = True

    pack: int = hyper(2, "images that D sees together; must divide the batch")
    latent_dim: int = hyper(0, "size of z ~ N(0, I); 0: 100 for pictures, 2 for points")
    g_lr: float = hyper(0.0, "Adam's learning rate for G; 0: 2e-4 for pictures, 1e-4 for points")
    d_lr: float = hyper(0.0, "Adam's learning rate for D; 0: 2e-4 for pictures, 1e-4 for points")
    beta1: float = hyper(-1.0, "Adam's decay of the gradients' mean; -1: 0.5 for pictures, 0.8 for points", below=1.0)
    width: int = hyper(0, convolutional.WIDTH)

    @override
    def fitted(self, spec: Spec, images: int, length: int) -> Self:
        lr = 1e-4 if spec.is_points else 2e-4
        return replace(
            self,
            latent_dim=self.latent_dim or (2 if spec.is_points else 100),
            g_lr=self.g_lr or lr,
            d_lr=self.d_lr or lr,
            beta1=self.beta1 if self.beta1 >= 0 else (0.8 if spec.is_points else 0.5),
        )

    @property
    @override
    def images_per_logit(self) -> int:
        return self.pack

    @override
    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        values = self.pack * spec.channels
        if spec.point_scale is not None:
            d = PointDiscriminator(values, spec.point_scale)
            return PointGenerator(self.latent_dim, spec.channels, spec.point_scale), Packed(d, self.pack)
        width = self.width or convolutional.default_width(spec.shape)
        network = convolutional.Discriminator(width, (values, spec.height, spec.width))
        return convolutional.Generator(self.latent_dim, width, spec.shape), Packed(network, self.pack)

    def d_adversarial(self, real: Tensor, fake: Tensor) -> Tensor:
        """Binary cross-entropy of packs, halved."""
        return losses.logistic_d(real, fake)

    def g_adversarial(self, fake: Tensor) -> Tensor:
        """The non-saturating loss of packs."""
        return losses.non_saturating_g(fake)


RECIPE = PacGAN
