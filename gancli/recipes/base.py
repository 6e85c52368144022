"""The contract between a GAN and everything else: what a recipe is given and what it answers.

A recipe is a frozen dataclass whose fields are its hyperparameters and whose methods are its networks,
its two losses and its rates. It opens no file, prints nothing and moves nothing to a device.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from gancli.config.settings import setting, wrong_numbers

Augmentation = Literal["none", "diffaug", "ada"]


@dataclass(frozen=True)
class Spec:
    """What the images are; a recipe scales its networks to it."""

    channels: int
    height: int
    width: int
    classes: int = 0
    """Number of labels, 0 for images without labels."""
    point_scale: float | None = None
    """None for pictures. Points are images of one pixel with a channel a coordinate; this times a channel's
    value in [-1, 1] is the coordinate."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        return self.channels, self.height, self.width

    @property
    def is_points(self) -> bool:
        """Whether the "images" are points in the plane, for which convolutions make no sense."""
        return self.point_scale is not None


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

    def rows(self, chosen: Tensor | slice) -> "Batch":
        """The images with these indices, int64 ``(n,)`` or a slice, and what belongs to them."""
        return self.mapped(lambda values: values[chosen])

    def mapped(self, function: Callable[[Tensor], Tensor]) -> "Batch":
        """The batch with the function's results in place of all its tensors."""
        rest = (None if value is None else function(value) for value in (self.labels, self.latents))
        return Batch(function(self.images), *rest)


@dataclass(frozen=True)
class Loss:
    """Scalar terms, which are summed to be minimised, and D's logits behind them, to be watched.

    Logits are ``(N,)``, or fewer where D judges several images together.
    """

    terms: dict[str, Tensor]
    logits: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Rates:
    """What may change while training goes on, as a function of the real images seen so far."""

    g_lr: float
    d_lr: float
    ema_half_life: float
    """Images, a batch for each step of G, after which the averaged generator has forgotten half of what it was; 0: no
    averaging. An average that goes on from an earlier run's has the recipe's `ema_half_life` throughout."""
    gamma: float = 0.0
    """Weight of the gradient penalty, for a recipe that changes it."""
    beta2: float | None = None
    """Adam's decay of the gradients' square, for a recipe that changes it."""

    def ema_decay(self, batch_size: int) -> "float | Tensor":
        """The share of the average that stays when a batch's step of G is added; 0: no averaging."""
        return 0.5 ** (batch_size / self.ema_half_life) if self.ema_half_life else 0.0


@dataclass(frozen=True)
class Stage:
    """A part of a training that has several: which parts of the networks train, and on what."""

    name: str = ""
    """Shown while it goes on."""
    begins: float = 0.0
    """Images seen when it begins."""
    g: str = ""
    """The module of G, by its dotted name, that steps train, average and give to the losses; "": G itself."""
    d: str = ""
    """The same of D."""
    without_d: bool = False
    """Whether only G steps, down `Recipe.lone_loss` on real images."""
    encoder: str | None = None
    """The module of the averaged G that makes the real batches of this stage of images, once; None: images."""
    versions: int = 1
    """How often each image is encoded; mirrored in every second version if the run mirrors images."""
    shift: int = 0
    """Pixels by which all but the first version are moved at most, in either direction."""


WHOLE = Stage()
"""The only stage of a training that has no stages."""


MAX_WHOLE = 10**6
"""Bound of whole numbers, beyond which sizes of tensors overflow."""
MAX_REAL = 1e38
"""Bound of other numbers, beyond which float32 overflows."""


AT_THE_END = 2**62
"""More images than any run sees."""


def hyper(
    default: Any, meaning: str, least: float | None = None, below: float = math.inf, most: float = math.inf
) -> Any:
    """A hyperparameter: its default, one line that says what it does, and the numbers that it may be.

    A number is at least ``least`` (by default 0, and 1 if it is whole), less than ``below`` and at most ``most``; or it
    is the default, which may stand for a choice that is left to the data.
    """
    whole = type(default) is int
    return setting(
        default,
        meaning,
        at_least=int(whole) if least is None else least,
        below=below,
        at_most=most,
        limit=MAX_WHOLE if whole else MAX_REAL,
    )


@dataclass(frozen=True)
class Recipe:
    """A published GAN. Each file of this folder defines one and names it in ``RECIPE``.

    Only the networks have no default, and what is to be minimised: either `d_adversarial` and `g_adversarial`, two
    functions of logits, with `d_penalties` if need be, from which training may take the shortest way to the gradients,
    or the whole of `d_loss` and `g_loss` where a GAN does not fit into that. A recipe may keep further state of its
    training in buffers of D, which a checkpoint carries.
    """

    title: ClassVar[str]
    paper: ClassVar[str]
    """``Authors YEAR, Title, arXiv:NUMBER``."""
    when: ClassVar[str]
    """One line: when to use it."""
    batch_size: ClassVar[int] = 64
    epochs: ClassVar[float] = 100
    least_steps: ClassVar[int] = 3600
    """Steps that training takes unless told otherwise, even where so few images make `epochs` fewer."""
    most_steps: ClassVar[int] = 100_000
    """Steps that it takes at most unless told otherwise, even where so many images make `epochs` more."""
    point_batch_size: ClassVar[int] = 256
    """The batch for points in the plane, whose steps are cheap."""
    point_steps: ClassVar[int] = 20_000
    """Steps that training on points takes unless told otherwise."""
    simultaneous: ClassVar[bool] = False
    """True: both networks step from one batch of fakes and from D as it was before (G's step comes first).
    False: D steps ``d_steps`` times, then G steps through the new D, on fresh fakes unless it `reuses_fakes`."""
    conditional: ClassVar[bool] = False
    """Whether G draws the class that a label asks for."""
    mixes_samples: ClassVar[bool] = False
    """Whether D's answer to one image depends on the others of the batch (batch normalisation and the like)."""
    separable: ClassVar[bool] = True
    """Whether both losses of a batch are the means of those of its parts, as long as no network mixes samples."""
    reuses_fakes: ClassVar[bool] = False
    """Where the networks step in turn: whether G's step takes the images that D's last step saw, instead of new ones.

    G then draws a batch less in each step.
    """
    border_at_zero: ClassVar[bool] = True
    """Whether D takes an image for real where its logit is more than 0; else where it is past the middle of its means
    of real and of generated images."""
    augmentable: ClassVar[bool] = True
    """Whether the losses keep their sense where D sees augmented images."""
    reconstructs: ClassVar[bool] = False
    """Whether G has an encoder: ``G.reconstruct(images)`` gives images ``(N, C, H, W)`` back through their codes."""
    autoencoder_sizes: ClassVar[tuple[str, ...]] = ()
    """Hyperparameters that decide the shapes of ``G.autoencoder``, which a first stage trains; none without one.

    Such a recipe has a hyperparameter ``trained``, which says that this stage is over."""
    draws_points: ClassVar[bool] = True
    """Whether there are networks for points in the plane."""
    features: ClassVar[str | None] = None
    """Kind of the frozen features that D trains on, as extractors are named (``lite0``); figures of them flatter."""

    latent_dim: int = hyper(100, "size of z ~ N(0, I)")
    g_lr: float = hyper(2e-4, "Adam's learning rate for G")
    d_lr: float = hyper(2e-4, "Adam's learning rate for D")
    beta1: float = hyper(0.5, "Adam's decay of the gradients' mean", below=1.0)
    beta2: float = hyper(0.999, "Adam's decay of the gradients' square", below=1.0)
    d_steps: int = hyper(1, "steps of D for each step of G")
    ema_half_life: float = hyper(
        10_000.0, "images, a batch for each step of G, after which the average has forgotten half; 0: no average"
    )

    def __post_init__(self) -> None:
        for declared, wrong in wrong_numbers(self):
            raise ValueError(f"{declared.name}={getattr(self, declared.name)} {wrong}.")
        if self.simultaneous and self.d_steps > 1:
            raise ValueError(f"d_steps={self.d_steps}: both networks step at once here.")

    def fitted(self, spec: Spec, images: int, length: int) -> Self:
        """This recipe with everything that it leaves to the data filled in.

        ``images`` is how many there are to train on, ``length`` how many D will have seen at the planned end. The
        answer is recorded with the run, so a longer run that resumes it changes nothing. Raises ValueError for
        hyperparameters that make no sense with these data.
        """
        return self

    def lasting(self, seconds: float, stage_seconds: Sequence[float], images_per_step: int) -> tuple[Self, int]:
        """This recipe, divided into its stages, and how many steps take so many seconds.

        ``stage_seconds`` are those of a step in each stage, or at places along the run where the networks grow.
        """
        return self, max(1, int(seconds / (sum(stage_seconds) / len(stage_seconds))))

    def continued(self) -> Self:
        """This recipe where it goes on from trained networks instead of new ones."""
        return self

    def augmentation(self, spec: Spec, images: int) -> Augmentation:
        """Which augmentation suits so many images, unless the user names one."""
        return "none"

    @property
    def images_per_logit(self) -> int:
        """How many images D judges together, of which a batch must be a multiple."""
        return 1

    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        """G and D, initialised from torch's global generator.

        ``G(latents, labels)`` gives images ``(N, C, H, W)`` in [-1, 1]; ``D(images, labels)`` gives logits ``(N,)``,
        or fewer where it judges several images together.
        """
        raise NotImplementedError

    def optimizers(self, g: nn.Module, d: nn.Module) -> tuple[Optimizer, Optimizer]:
        """One optimizer for each network; the learning rates come from `schedule`."""
        return adam(g, self.g_lr, self.beta1, self.beta2), adam(d, self.d_lr, self.beta1, self.beta2)

    def schedule(self, images_seen: int) -> Rates:
        """The rates at this point of the training; constant but for the start of the average."""
        return Rates(self.g_lr, self.d_lr, ramped_half_life(self.ema_half_life, images_seen / self.d_steps))

    def advance(self, network: nn.Module, images_seen: int) -> None:
        """Tell G, D or the averaged G, before a step, how far training is; for networks that grow."""

    @property
    def grows(self) -> bool:
        """Whether the networks change with the images seen, so that no two steps need be alike."""
        return type(self).advance is not Recipe.advance or self.has_stages

    @property
    def has_stages(self) -> bool:
        """Whether training has more than one `stage`."""
        return type(self).stage is not Recipe.stage

    def stage(self, images_seen: int) -> Stage:
        """The stage of the training at this point."""
        return WHOLE

    def begin(self, stage: Stage, g: nn.Module, d: nn.Module, ema: nn.Module) -> None:
        """Carry weights over, in place, before the first step of a stage; the networks are whole here."""

    def lone_loss(self, g: nn.Module, d: nn.Module, real: Batch, rates: Rates) -> Loss:
        """What G minimises in a stage without D, of which ``g`` and ``d`` are the parts that the stage names."""
        raise NotImplementedError

    def d_adversarial(self, real: Tensor, fake: Tensor) -> Tensor:
        """What D minimises, a scalar, as a function of its logits ``(N,)`` alone."""
        raise NotImplementedError

    def chance(self) -> float | None:
        """`d_adversarial` of a D that cannot tell; None if it is not told or 0, as it is of a critic without bounds.

        Where there is one, what is left of it says how far D has won.
        """
        if type(self).d_adversarial is Recipe.d_adversarial:
            return None
        with torch.random.fork_rng(devices=[]):  # a loss may draw its margins
            torch.default_generator.manual_seed(0)
            return self.d_adversarial(torch.zeros(1000), torch.zeros(1000)).item() or None

    def g_adversarial(self, fake: Tensor) -> Tensor:
        """What G minimises, a scalar, as a function of D's logits ``(N,)`` on its images."""
        raise NotImplementedError

    def d_penalties(self, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> dict[str, Tensor]:
        """Further terms of D's loss, named, each a scalar with its weight in it."""
        return {}

    def judge(self, d: nn.Module, real: Batch, fake: Batch) -> tuple[Tensor, Tensor]:
        """D's logits of both: in one pass, or apart where it mixes samples, so that each has its own statistics."""
        if self.mixes_samples:
            return d(real.images, real.labels), d(fake.images, fake.labels)
        real_logits, fake_logits = judge_together(d, real, fake).tensor_split([len(real.images)])
        return real_logits, fake_logits

    def d_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """What D minimises. ``fake`` is detached from G.

        Compiled networks have all attributes of those that `networks` made, but are no instances of their classes.
        """
        real_logits, fake_logits = self.judge(d, real, fake)
        terms = {"adv": self.d_adversarial(real_logits, fake_logits)}
        return Loss(terms | self.d_penalties(d, real, fake, rates), {"real": real_logits, "fake": fake_logits})

    def constrain(self, d: nn.Module) -> None:
        """Put D's weights back where they may be, after its step."""

    def g_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """What G minimises. D's weights are frozen."""
        return Loss({"adv": self.g_adversarial(d(fake.images, fake.labels))})


def judge_together(d: nn.Module, real: Batch, fake: Batch) -> Tensor:
    """D's logits of the real images and then of the generated ones, from one pass."""
    labels = None if real.labels is None or fake.labels is None else torch.cat([real.labels, fake.labels])
    return d(torch.cat([real.images, fake.images]), labels)


def year_of(recipe: type[Recipe]) -> int:
    """The year of the recipe's paper."""
    return int(re.findall(r"\b\d{4}\b", recipe.paper.partition(", arXiv:")[0])[0])


def adam(network: nn.Module, lr: float, beta1: float, beta2: float) -> Optimizer:
    """Adam in its fused form, which does all weights in one pass (Kingma and Ba 2015, arXiv:1412.6980)."""
    return Adam(network.parameters(), lr=lr, betas=(beta1, beta2), fused=True)


def ramped_half_life(half_life: float, images: float, ramp: float = 0.05) -> float:
    """An EMA half-life that grows with training up to its full value, so that early weights are soon forgotten.

    Both are in images of G's steps, which are fewer than D's where D takes several. As in StyleGAN2-ADA (Karras
    et al. 2020, arXiv:2006.06676, official code's ``ema_rampup``).
    """
    return min(half_life, ramp * images)
