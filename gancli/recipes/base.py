"""The contract between a GAN and everything else: what a recipe is given and what it answers.

A recipe is a frozen dataclass whose fields are its hyperparameters and whose methods are its networks,
its two losses and its rates. It opens no file, prints nothing and moves nothing to a device.
"""

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Protocol

from torch import Tensor, nn
from torch.optim import Adam, Optimizer


@dataclass(frozen=True)
class Spec:
    """What the images are; a recipe scales its networks to it."""

    channels: int
    height: int
    width: int
    classes: int = 0
    """Number of labels, 0 for images without labels."""


@dataclass(frozen=True)
class Batch:
    """Images, float ``(N, C, H, W)`` in [-1, 1], and their labels, int64 ``(N,)``, if they have any."""

    images: Tensor
    labels: Tensor | None = None
    latents: Tensor | None = None
    """What the images were generated from, float ``(N, latent_dim)``; None for real ones."""

    def detach(self) -> "Batch":
        """The same batch, cut off from the generator's graph."""
        return Batch(self.images.detach(), self.labels, self.latents)


@dataclass(frozen=True)
class Loss:
    """Scalar terms, which are summed to be minimised, and D's logits ``(N,)`` behind them, to be watched."""

    terms: dict[str, Tensor]
    logits: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Rates:
    """What may change while training goes on, as a function of the real images seen so far."""

    g_lr: float
    d_lr: float
    ema_half_life: float
    """Images after which the averaged generator has forgotten half of what it was; 0: no averaging."""


class Recipe(Protocol):
    """A published GAN. Each file of this folder defines one and names it in ``RECIPE``."""

    title: ClassVar[str]
    paper: ClassVar[str]
    when: ClassVar[str]
    """One line: when to use it."""
    batch_size: ClassVar[int]
    epochs: ClassVar[float]
    least_steps: ClassVar[int]
    """Steps that training takes unless told otherwise, even where so few images make `epochs` fewer."""
    simultaneous: ClassVar[bool]
    """True: both networks step from one batch of fakes and from D as it was before (G's step comes first).
    False: D steps ``d_steps`` times, then G steps through the new D on fresh fakes."""
    d_steps: ClassVar[int]
    conditional: ClassVar[bool]
    """Whether G draws the class that a label asks for."""

    @property
    def latent_dim(self) -> int:
        """Size of a latent, which is drawn from N(0, I)."""
        ...

    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        """G and D, initialised from torch's global generator.

        ``G(latents, labels)`` gives images ``(N, C, H, W)`` in [-1, 1]; ``D(images, labels)`` gives logits ``(N,)``.
        """
        ...

    def optimizers(self, g: nn.Module, d: nn.Module) -> tuple[Optimizer, Optimizer]:
        """One optimizer for each network; the learning rates come from `schedule`."""
        ...

    def d_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """What D minimises. ``fake`` is detached from G."""
        ...

    def g_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """What G minimises. D's weights are frozen."""
        ...

    def schedule(self, images_seen: int) -> Rates:
        """The rates at this point of the training."""
        ...


def hyper(default: Any, meaning: str) -> Any:
    """A hyperparameter: its default and one line that says what it does."""
    return field(default=default, metadata={"meaning": meaning})


def meanings(recipe: type) -> dict[str, str]:
    """What each hyperparameter of a recipe does."""
    return {f.name: f.metadata.get("meaning", "") for f in fields(recipe)}


def adam(network: nn.Module, lr: float, beta1: float, beta2: float) -> Optimizer:
    """Adam in its fused form, which does all weights in one pass (Kingma and Ba 2015, arXiv:1412.6980)."""
    return Adam(network.parameters(), lr=lr, betas=(beta1, beta2), fused=True)


def ramped_half_life(half_life: float, images_seen: int, ramp: float = 0.05) -> float:
    """An EMA half-life that grows with training up to its full value, so that early weights are soon forgotten.

    As in StyleGAN2 (Karras et al. 2020, arXiv:1912.04958, official code's ``ema_rampup``).
    """
    return min(half_life, ramp * images_seen)
