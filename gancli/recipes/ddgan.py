"""Denoising diffusion GAN: a few denoising steps, each drawn by a GAN that is given the noisy image and the step."""

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Self, cast

import torch
from torch import Tensor, nn
from typing_extensions import override

from gancli import whole_batch
from gancli.functional import losses, penalties
from gancli.functional.diffusion import continuous_schedule, diffused, posterior
from gancli.functional.schedules import half_cosine, ramped_half_life
from gancli.models.convolutional import Shape
from gancli.models.denoising import PairDiscriminator, UNet
from gancli.recipes.base import Batch, Loss, Rates, Recipe, Spec, hyper


class Chain(nn.Module):
    """The values of alpha_bar, which G and D both need."""

    alpha_bars: Tensor

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.register_buffer("alpha_bars", torch.tensor(continuous_schedule(steps)), persistent=False)

    def alpha_bar(self, steps: Tensor) -> Tensor:
        """Values for steps, int64 ``(N,)`` from 0 to T: ``(N, 1, 1, 1)``."""
        return self.alpha_bars[steps].view(-1, 1, 1, 1)


class Generator(Chain):
    """All denoising steps as one function: the latent holds x_T, then z and the noise of x_{t-1} for t = T, ..., 1.

    The last step has no noise.
    """

    def __init__(self, steps: int, z_dim: int, width: int, shape: Shape, classes: int) -> None:
        super().__init__(steps)
        self.z_dim, self.shape = z_dim, shape
        self.denoise = UNet(z_dim, width, shape, classes)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents ``(N, latent_dim)`` and labels ``(N,)`` -> images ``(N, C, H, W)`` in [-1, 1]."""
        values = math.prod(self.shape)
        sizes = [values, *[self.z_dim, values] * (self.steps - 1), self.z_dim]
        noise, *rest = latents.split(sizes, 1)
        images = noise.unflatten(1, self.shape)
        for step in range(self.steps, 0, -1):
            z, *noises = rest[2 * (self.steps - step) :][:2]
            noise = noises[0].unflatten(1, self.shape) if noises else torch.zeros_like(images)
            images = self.before(images, z, torch.full_like(latents[:, 0], step, dtype=torch.long), labels, noise)
        return images

    def before(self, after: Tensor, z: Tensor, steps: Tensor, labels: Tensor | None, noise: Tensor) -> Tensor:
        """x_{t-1} drawn from p(x_{t-1} | x_t) = q(x_{t-1} | x_t, x_0 = G(x_t, z, t)), eq. 5 of the paper.

        ``after`` is x_t, ``noise`` alike, ``(N, C, H, W)``; steps t and labels are ``(N,)``.
        """
        start = losses.at_least_fp32(self.denoise(after, z, steps, labels))
        mean, variance = posterior(start, after, self.alpha_bar(steps - 1), self.alpha_bar(steps))
        return mean + variance.sqrt() * noise


class Discriminator(Chain):
    """D of pairs; of a single image it takes the first step, with x_1 made by the same noise for every image."""

    noise: Tensor

    def __init__(self, steps: int, width: int, shape: Shape, classes: int) -> None:
        super().__init__(steps)
        self.register_buffer("noise", torch.randn(shape))
        self.pairs = PairDiscriminator(width, shape, classes)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images ``(N, C, H, W)`` and labels ``(N,)`` -> logits ``(N,)``, for who watches D; no loss takes them."""
        steps = torch.ones_like(images[:, 0, 0, 0], dtype=torch.long)
        return self.pairs(images, diffused(images, self.alpha_bar(steps), self.noise), steps, labels)


@dataclass(frozen=True)
class DDGAN(Recipe):
    """Xiao et al. 2022: G draws x_0 given x_t; x_{t-1} follows from the diffusion's posterior, and D sees both.

    Differs from the paper:
    - The networks are a quarter as wide, with one residual block a size, attention on the smallest maps, and no
      minibatch deviation in D. R1 is taken at every step, as the paper writes it; its code takes it at every 15th.
    - Maps are halved by averages and doubled bilinearly, not by the filter [1, 3, 3, 1].
    - Learning rates are about twice as high, for the small networks. The average's half-life is 1/40 of the length.
    - The schedule begins at alpha_bar = 1; the authors' code begins a thousandth later.
    - Batches have 64 images, not 256.
    - Labels are optional: they are added to the style of z in G, and projected in D.
    """

    title: ClassVar[str] = "Denoising diffusion GAN"
    paper: ClassVar[str] = "Xiao, Kreis and Vahdat 2022, Tackling the Generative Learning Trilemma, arXiv:2112.07804"
    when: ClassVar[str] = "few denoising steps; digits in minutes; at 32 pixels a step costs five of DCGAN's"
    separable: ClassVar[bool] = False
    augmentable: ClassVar[bool] = False
    draws_points: ClassVar[bool] = False
    uses_fakes: ClassVar[bool] = False

    conditional: bool = hyper(False, "whether G draws the class that a label names")  # type: ignore[misc]
    diffusion_steps: int = hyper(4, "denoising steps T; 2 are quicker, 4 are the paper's", most=64)
    latent_dim: int = hyper(64, "numbers z that each step's G is given beside the noisy image")
    width: int = hyper(32, "channels of G's largest maps, smaller ones have twice as many")
    d_width: int = hyper(32, "channels of D's largest maps, smaller ones have up to four times as many")
    gamma: float = hyper(0.05, "weight of R1, the penalty on D's gradient at real x_{t-1}")
    g_lr: float = hyper(3e-4, "Adam's first learning rate for G")
    d_lr: float = hyper(3e-4, "Adam's first learning rate for D")
    lr_end: float = hyper(0.0625, "share of the learning rates that is left at the end", most=1.0)
    beta2: float = 0.9
    decay_images: float = hyper(0.0, "images over which the rates reach their ends; 0: the planned length", least=1.0)
    ema_half_life: float = hyper(0.0, "last half-life of the averaged generator, in images; 0: 1/40 of decay_images")

    @override
    def fitted(self, spec: Spec, images: int, length: int) -> Self:
        decay = self.decay_images or float(length)
        return replace(self, decay_images=decay, ema_half_life=self.ema_half_life or decay / 40)

    @override
    def latent_values(self, spec: Spec) -> int:
        """All noise of the chain: x_T, and for each step z and, but for the last, the noise of x_{t-1}."""
        return self.diffusion_steps * (math.prod(spec.shape) + self.latent_dim)

    @override
    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        classes = spec.classes if self.conditional else 0
        return (
            Generator(self.diffusion_steps, self.latent_dim, self.width, spec.shape, classes),
            Discriminator(self.diffusion_steps, self.d_width, spec.shape, classes),
        )

    def d_adversarial(self, real: Tensor, fake: Tensor) -> Tensor:
        """Binary cross-entropy, eq. 3 of the paper."""
        return 2 * losses.logistic_d(real, fake)

    def d_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """D tells real pairs (x_{t-1}, x_t) from those that G made, with R1 on real x_{t-1}: eq. 3."""
        d, labels = cast(Discriminator, d), self._labels(real)
        steps, before, after = self._noisy(cast(Generator, g), real.images)
        with torch.no_grad():
            made = self._made(cast(Generator, g), steps, after, labels, fake)
        real_logits, squares = penalties.zero_centred_with_logits(
            lambda images, labels: d.pairs(images, after, steps, labels), before, labels
        )
        fake_logits = d.pairs(made, after, steps, labels)
        terms = {"adv": self.d_adversarial(real_logits, fake_logits), "r1": self.gamma * squares.mean()}
        return Loss(terms, {"real": real_logits, "fake": fake_logits})

    def g_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """The non-saturating loss of pairs that G makes of new noisy images: eq. 4."""
        labels = self._labels(real)
        steps, _, after = self._noisy(cast(Generator, g), real.images)
        made = self._made(cast(Generator, g), steps, after, labels, fake)
        return Loss({"adv": losses.non_saturating_g(cast(Discriminator, d).pairs(made, after, steps, labels))})

    def _labels(self, real: Batch) -> Tensor | None:
        """Labels of both: a generated x_{t-1} has the class of the picture that its x_t comes from."""
        return real.labels if self.conditional else None

    def _noisy(self, chain: Generator, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A random step t from 1 to T ``(N,)`` for each image x_0, x_{t-1} ~ q(. | x_0) and x_t ~ q(. | x_{t-1})."""
        steps = whole_batch.drawn(self._random_steps, images)
        noises = [whole_batch.drawn(torch.randn_like, images) for _ in range(2)]
        alpha_bar = chain.alpha_bar(steps - 1)
        before = diffused(images, alpha_bar, noises[0])
        return steps, before, diffused(before, chain.alpha_bar(steps) / alpha_bar, noises[1])

    def _random_steps(self, images: Tensor) -> Tensor:
        return torch.randint(1, self.diffusion_steps + 1, (len(images),), device=images.device)

    def _made(self, g: Generator, steps: Tensor, after: Tensor, labels: Tensor | None, fake: Batch) -> Tensor:
        """x_{t-1} that G makes of x_t; z is the first one of the latents."""
        assert fake.latents is not None
        z, noise = fake.latents[:, : self.latent_dim], whole_batch.drawn(torch.randn_like, after)
        return g.before(after, z, steps, labels, noise)

    def schedule(self, images_seen: int) -> Rates:
        """Learning rates fall along a half cosine."""
        left = half_cosine(1.0, self.lr_end, images_seen / self.decay_images)
        half_life = ramped_half_life(self.ema_half_life, images_seen)
        return Rates(self.g_lr * left, self.d_lr * left, half_life)


RECIPE = DDGAN
