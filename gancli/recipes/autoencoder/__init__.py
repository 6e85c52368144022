"""The first stage of latent diffusion: an autoencoder that a discriminator of patches makes sharp."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self, cast

import torch
from torch import Tensor, nn
from typing_extensions import override

from gancli.functional import losses
from gancli.functional.balance import adaptive_weight, gradient, with_gradient
from gancli.functional.schedules import half_cosine, ramped_half_life
from gancli.models.autoencoder import latent_shape
from gancli.models.efficientnet_lite0 import Lite0
from gancli.models.kl_autoencoder import Discriminator, Generator
from gancli.models.patch_discriminator import MIN_SIDE
from gancli.models.perceptual import CHANNELS, Perception
from gancli.pretrained import lite0_weights
from gancli.recipes.autoencoder.mixture import fitted_mixture
from gancli.recipes.base import Batch, Loss, Rates, Recipe, Spec, Stage, hyper
from gancli.recipes.latent.sharpening import distances
from gancli.recipes.vaegan import prior_divergence

FIRST, SECOND, THIRD = "autoencoder", "autoencoder and patches", "decoder and patches"
"""Names of the stages."""
SHARES = 0.5, 0.4, 0.1
"""The stages' shares of a run, in images or in time."""


@dataclass(frozen=True)
class KLAutoencoder(Recipe):
    """Rombach et al. 2022, section 3.1, with the losses of Esser et al. 2021 (arXiv:2012.09841), section 3.2.

    - The autoencoder learns alone at first; D joins later. Its loss is weighed by the norms of both losses' gradients
      at the decoder's last layer.
    - When D joins, and once more when the encoder is finished, a mixture of Gaussians is fitted to the principal
      components of the training pictures' codes. Samples are decoded draws from it. The paper's second stage, a
      diffusion model of the codes, is not a part of this recipe.

    Differs from the authors' code:
    - The networks are those of the recipe ``latent``, with about a million weights, without attention.
    - Batch normalisation keeps the means of the codes at unit variance; the authors rescale codes after training.
    - The perceptual distance is that of features of EfficientNet-Lite0, not LPIPS.
    - The reconstruction loss is a mean over values, and its scale is not learned. The KL divergence has the same unit,
      nats for each value of the picture, and a larger weight, since a mixture needs smooth codes more than diffusion.
    - The rate of the autoencoder is larger and falls, Adam's second decay is 0.99, not 0.9, and weights are averaged.
    - In the last stage the encoder is kept as it is, so that the fitted mixture stays true.
    """

    title: ClassVar[str] = "First stage of latent diffusion: KL autoencoder"
    paper: ClassVar[str] = "Rombach et al. 2022, Image Synthesis with Latent Diffusion Models, arXiv:2112.10752"
    when: ClassVar[str] = "pictures to be encoded and given back sharp; its codes serve latent; rough samples"
    batch_size: ClassVar[int] = 32
    reuses_fakes: ClassVar[bool] = True
    mixes_samples: ClassVar[bool] = True
    separable: ClassVar[bool] = False
    border_at_zero: ClassVar[bool] = False
    augmentable: ClassVar[bool] = False
    reconstructs: ClassVar[bool] = True
    autoencoder_sizes: ClassVar[tuple[str, ...]] = ("channels", "width")
    draws_points: ClassVar[bool] = False
    features: ClassVar[str | None] = "lite0"

    alone_images: float = hyper(0.0, "images before D joins; 0: half of the length", least=1.0)
    joint_images: float = hyper(
        0.0, "images with D until the encoder is kept as it is; 0: two fifths of the length", least=1.0
    )
    channels: int = hyper(32, "channels of the codes")
    width: int = hyper(128, "channels of the autoencoder's smallest maps; each doubling of the size halves them")
    d_width: int = hyper(32, "channels of D's largest maps; each halving of the size doubles them")
    kl: float = hyper(0.1, "weight of the KL divergence of the codes from N(0, I)")
    perceptual: float = hyper(0.5, "weight of the relative difference of EfficientNet-Lite0's features; 0: none")
    adversarial: float = hyper(0.5, "factor of the adversarial loss, after its weight by the gradients")
    latent_dim: int = hyper(
        129, "numbers of a latent: one chooses a component, each other moves along an axis", least=2
    )
    components: int = hyper(32, "components of the mixture at most; held-out codes decide")
    g_lr: float = hyper(1e-3, "Adam's first learning rate for the autoencoder")
    lr_end: float = hyper(0.2, "share of it that is left when D joins, and from then on", most=1.0)
    beta2: float = 0.99

    @override
    def fitted(self, spec: Spec, images: int, length: int) -> Self:
        if min(spec.height, spec.width) < MIN_SIDE and not spec.is_points:
            raise ValueError(f"D's patches need pictures of {MIN_SIDE} pixels a side at least.")
        return replace(
            self,
            alone_images=self.alone_images or max(1.0, SHARES[0] * length),
            joint_images=self.joint_images or max(1.0, SHARES[1] * length),
            perceptual=self.perceptual if spec.channels in CHANNELS else 0.0,
            latent_dim=min(self.latent_dim, 1 + math.prod(latent_shape(spec.shape, self.channels))),
        )

    @override
    def lasting(self, seconds: float, stage_seconds: Sequence[float], images_per_step: int) -> tuple[Self, int]:
        return self.in_stages(("alone_images", "joint_images"), SHARES, seconds, stage_seconds, images_per_step)

    @override
    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        g = Generator(spec.shape, self.channels, self.width, self.latent_dim, self.components)
        perception = Perception(Lite0(lite0_weights())) if self.perceptual else None
        return g, Discriminator(spec.shape, self.d_width, perception)

    @property
    def last_border(self) -> float:
        """Images seen when the last stage begins."""
        return self.alone_images + self.joint_images

    @override
    def stage(self, images_seen: int) -> Stage:
        if images_seen < self.alone_images:
            return Stage(FIRST, without_d=True)
        if images_seen < self.last_border:
            return Stage(SECOND, begins=self.alone_images, fits="autoencoder.encoder")
        return Stage(THIRD, begins=self.last_border, fits="autoencoder.encoder")

    @override
    def advance(self, network: nn.Module, images_seen: int) -> None:
        if images_seen >= self.last_border and isinstance(network, Generator):
            network.keep_encoder()

    @override
    def begin(self, stage: Stage, g: nn.Module, d: nn.Module, ema: nn.Module) -> None:
        """Before the last stage, G takes over the averaged weights, so that both have the same encoder."""
        if stage.name == THIRD:
            g.load_state_dict(ema.state_dict())

    @override
    def fit(self, codes: Tensor, g: nn.Module, ema: nn.Module) -> None:
        """Fit the mixture of Gaussians that samples are drawn from."""
        mixture = fitted_mixture(codes.flatten(2), self.latent_dim - 1, self.components)
        for network in (g, ema):
            cast(Generator, network).prior.set(*mixture)

    @override
    def schedule(self, images_seen: int) -> Rates:
        rate = self.g_lr * half_cosine(1.0, self.lr_end, images_seen / self.alone_images)
        return Rates(rate, self.d_lr, ramped_half_life(self.ema_half_life, images_seen))

    @override
    def generated(self, g: nn.Module, real: Batch, latents: Tensor, labels: Tensor | None) -> Batch:
        """Reconstructions of the real images, with the moments of their codes."""
        images, moments = cast(Generator, g).rebuilt(real.images)
        return Batch(losses.at_least_fp32(images), None, losses.at_least_fp32(moments))

    @override
    def lone_loss(self, g: nn.Module, d: nn.Module, real: Batch, rates: Rates) -> Loss:
        """|x - x'|, the perceptual distance, and the KL divergence."""
        rebuilt = self.generated(g, real, real.images, None)
        perception = cast(Discriminator, d).perception
        return Loss(distances(rebuilt.images, real.images, perception, self.perceptual) | self._divergence(rebuilt))

    @override
    def d_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """The hinge loss of all patches; real and reconstructed images in separate passes."""
        d = cast(Discriminator, d)
        real_logits, fake_logits = (losses.at_least_fp32(d.patches(each.images)) for each in (real, fake))
        terms = {"adv": self.d_adversarial(real_logits, fake_logits)}
        return Loss(terms, {"real": real_logits.mean(1), "fake": fake_logits.mean(1)})

    @override
    def chance(self) -> None:
        """None: a D that wins is no failure here, since reconstructions teach the decoder whatever D says."""
        return None

    @override
    def d_adversarial(self, real: Tensor, fake: Tensor) -> Tensor:
        """The hinge loss."""
        return losses.hinge_d(real, fake)

    @override
    def g_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """`lone_loss`, and minus the mean logit with its adaptive weight.

        Each loss goes backwards to the images once; the gradients of the last layer follow from theirs.
        """
        d, images = cast(Discriminator, d), fake.images.detach().requires_grad_()
        terms = distances(images, real.images, d.perception, self.perceptual)
        terms["adv"] = losses.wasserstein_g(d.patches(images))
        slopes = {name: gradient(value, images) for name, value in terms.items()}
        adversarial = slopes.pop("adv")
        weight = self.adversarial * adaptive_weight(
            _at_last_layer(g, fake.images, torch.stack([*slopes.values()]).sum(0)),
            _at_last_layer(g, fake.images, adversarial),
        )
        terms["adv"], slopes["adv"] = weight * terms["adv"], weight * adversarial
        terms = {name: with_gradient(value, fake.images, slopes[name]) for name, value in terms.items()}
        return Loss(terms | self._divergence(fake))

    def _divergence(self, rebuilt: Batch) -> dict[str, Tensor]:
        """The KL divergence in nats for each value of the picture, times its weight."""
        assert rebuilt.latents is not None
        mean, log_variance = rebuilt.latents.flatten(2).unbind(1)
        return {"kl": self.kl * prior_divergence(mean, log_variance) / rebuilt.images[0].numel()}


def _at_last_layer(g: nn.Module, images: Tensor, slope: Tensor) -> Tensor:
    """The gradient of the decoder's last weights, for a gradient ``slope`` of its images; its graph is kept."""
    weight = cast(Generator, g).autoencoder.decoder.details[-1].weight
    (slopes,) = torch.autograd.grad(images, cast(Tensor, weight), slope, retain_graph=True)
    return slopes


RECIPE = KLAutoencoder
