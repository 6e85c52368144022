"""The contract between a GAN and the rest of gancli: the arguments and the results of a recipe.

A recipe is a frozen dataclass. Its fields are hyperparameters; its methods give the networks, the two losses and the
rates. It opens no file, prints nothing and moves nothing to a device.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from gancli.config.settings import setting, wrong_numbers
from gancli.functional.schedules import lazy_share, ramped_half_life, steps_of_stages

Augmentation = Literal["none", "diffaug", "ada", "diffusion", "diffusion-uniform"]


@dataclass(frozen=True)
class Spec:
    """Shape and classes of the images; a recipe scales its networks to them."""

    channels: int
    height: int
    width: int
    classes: int = 0
    """Number of classes, 0 for images without classes."""
    point_scale: float | None = None
    """None for pictures. A point is an image of one pixel, with one channel per coordinate in [-1, 1]; multiply by this
    to get the original coordinate."""
    conditions: int = 0
    """Number of conditions of an image, 0 for images without."""

    @property
    def label_values(self) -> int:
        """Values of a label: of a one-hot class, or the conditions."""
        return self.classes or self.conditions

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        return self.channels, self.height, self.width

    @property
    def is_points(self) -> bool:
        """True if the "images" are points in the plane, which convolutions do not suit."""
        return self.point_scale is not None


@dataclass(frozen=True)
class Batch:
    """Images, float ``(N, C, H, W)`` in [-1, 1], and their labels, if they have any.

    Labels are classes int64 ``(N,)``, or conditions float32 ``(N, K)``.
    """

    images: Tensor
    labels: Tensor | None = None
    latents: Tensor | None = None
    """Latents of generated images, float ``(N, latent_dim)``, or what `Recipe.generated` gives; None for real ones."""
    timesteps: Tensor | None = None
    """How far each image is diffused, float ``(N,)`` in [0, 1]; None without ``--augment diffusion``."""
    plain: Tensor | None = None
    """Generated images before augmentation; None for real ones, and where no loss needs them."""

    def detach(self) -> "Batch":
        """The same batch, detached from the generator's graph."""
        return replace(self, images=self.images.detach(), plain=None)

    def rows(self, chosen: Tensor | slice) -> "Batch":
        """The images with these indices, int64 ``(n,)`` or a slice, with their labels and latents."""
        return self.mapped(lambda values: values[chosen])

    def mapped(self, function: Callable[[Tensor], Tensor]) -> "Batch":
        """The batch with the function applied to each of its tensors."""
        values = (self.labels, self.latents, self.timesteps, self.plain)
        rest = (None if value is None else function(value) for value in values)
        return Batch(function(self.images), *rest)


@dataclass(frozen=True)
class Loss:
    """Scalar terms, whose sum is minimised, and D's logits, which are recorded.

    Logits are ``(N,)``, or fewer if D takes several images for one logit.
    """

    terms: dict[str, Tensor]
    logits: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Rates:
    """Values that may change during training, as functions of the real images seen so far."""

    g_lr: float
    d_lr: float
    ema_half_life: float
    """Half-life of the averaged generator, in images of G's steps (one batch per step); 0: no averaging.
    An average that continues from an earlier run has the recipe's `ema_half_life` throughout."""
    gamma: float = 0.0
    """Weight of the gradient penalty, if the recipe changes it."""
    beta2: float | None = None
    """Adam's decay of the squared gradients, if the recipe changes it."""

    def ema_decay(self, batch_size: int) -> "float | Tensor":
        """The weight of the old average in G's step on a batch; 0: no averaging."""
        return 0.5 ** (batch_size / self.ema_half_life) if self.ema_half_life else 0.0


@dataclass(frozen=True)
class Stage:
    """A part of a training with several stages: the modules that train, and their data."""

    name: str = ""
    """Name that is shown."""
    begins: float = 0.0
    """Images seen when it begins."""
    g: str = ""
    """Dotted name of the module of G that is trained, averaged and passed to the losses; "": G itself."""
    d: str = ""
    """The same for D."""
    without_d: bool = False
    """True if only G is trained, with `Recipe.lone_loss` on real images."""
    encoder: str | None = None
    """Dotted name of the module of the averaged G that encodes all real images for this stage; None: images."""
    fits: str | None = None
    """Dotted name of the module of the averaged G whose codes of real images `Recipe.fit` gets before the stage."""
    versions: int = 1
    """Number of encodings per image; every second one is mirrored if the run mirrors images."""
    shift: int = 0
    """Largest shift in pixels of all encodings except the first, in either direction."""
    recipe: "Recipe | None" = None
    """The recipe that gives this stage's losses and rates; None: the run's own."""


WHOLE = Stage()
"""The only stage of a training without stages."""


MAX_WHOLE = 10**6
"""Bound of whole numbers; larger ones overflow sizes of tensors."""
MAX_REAL = 1e38
"""Bound of other numbers; larger ones overflow float32."""

AT_THE_END = 2**62
"""Images seen at the end of any run: more than a run sees."""


def hyper(
    default: Any,
    meaning: str,
    least: float | None = None,
    below: float = math.inf,
    most: float = math.inf,
    formerly: str | None = None,
) -> Any:
    """Declare a hyperparameter: its default, its meaning in one line, and its bounds.

    A number must be at least ``least`` (by default 0, or 1 if whole), less than ``below`` and at most ``most``. The
    default itself may be out of bounds; it then means that the data decide. ``formerly`` is
    its name in files of older versions.
    """
    whole = type(default) is int
    return setting(
        default,
        meaning,
        at_least=int(whole) if least is None else least,
        below=below,
        at_most=most,
        limit=MAX_WHOLE if whole else MAX_REAL,
        formerly=formerly,
    )


@dataclass(frozen=True)
class Recipe:
    """A published GAN. Each file of this folder defines one and names it in ``RECIPE``.

    A recipe must define `networks` and its losses. Losses that are functions of logits are `d_adversarial` and
    `g_adversarial`, with `d_penalties` if it has any; training then takes the fastest way to their gradients. Other
    losses override `d_loss` and `g_loss`. Further state of the training belongs in buffers of D, which checkpoints
    contain.
    """

    title: ClassVar[str]
    paper: ClassVar[str]
    """``Authors YEAR, Title, arXiv:NUMBER``."""
    when: ClassVar[str]
    """When to use it, in one line."""
    batch_size: ClassVar[int] = 64
    epochs: ClassVar[float] = 100
    least_steps: ClassVar[int] = 3600
    """Default length, at least, even if `epochs` are fewer steps."""
    most_steps: ClassVar[int] = 100_000
    """Default length, at most, even if `epochs` are more steps."""
    point_batch_size: ClassVar[int] = 256
    """Batch size for points in the plane, whose steps are cheap."""
    point_steps: ClassVar[int] = 20_000
    """Default length for points, in steps."""
    simultaneous: ClassVar[bool] = False
    """True: both networks step from the same fakes and the same D; G's step comes first.
    False: D steps ``d_steps`` times, then G steps with the new D, on new fakes unless it `reuses_fakes`."""
    conditional: ClassVar[bool] = False
    """True if G draws what a label asks for."""
    takes_conditions: ClassVar[bool] = False
    """True if labels may be conditions, float32 ``(N, K)``, instead of classes."""
    mixes_samples: ClassVar[bool] = False
    """True if D's logit of an image depends on the rest of the batch, as with batch normalisation."""
    separable: ClassVar[bool] = True
    """True if both losses of a batch are means over its parts, provided that no network mixes samples."""
    reuses_fakes: ClassVar[bool] = False
    """True if G's step takes the fakes of D's last step instead of new ones, which saves one batch of G per step.

    Only for networks that step in turn.
    """
    uses_fakes: ClassVar[bool] = True
    """False if the losses generate what they need from ``fake.latents`` and the real images.

    ``fake.images`` are then empty, ``(N, 0)``."""
    border_at_zero: ClassVar[bool] = True
    """True if a logit above 0 means real; otherwise the border is midway between the mean logits of real and generated
    images."""
    augmentable: ClassVar[bool] = True
    """True if D may see augmented images instead of the images themselves."""
    sees_timesteps: ClassVar[bool] = False
    """True if D is given the timesteps of diffused images, see `Batch.timesteps`."""
    reconstructs: ClassVar[bool] = False
    """True if G has an encoder: ``G.reconstruct(images)`` encodes and decodes images ``(N, C, H, W)``."""
    autoencoder_sizes: ClassVar[tuple[str, ...]] = ()
    """Hyperparameters that decide the shapes of ``G.autoencoder``, which a first stage trains; empty without one.

    A recipe that can go on with an autoencoder of another run has a hyperparameter ``trained``, which says that this
    stage is over."""
    draws_points: ClassVar[bool] = True
    """True if there are networks for points in the plane."""
    features: ClassVar[str | None] = None
    """The extractor whose frozen features D trains on (``lite0``); metrics of the same features flatter the GAN."""

    latent_dim: int = hyper(100, "size of z ~ N(0, I)")
    g_lr: float = hyper(2e-4, "Adam's learning rate for G")
    d_lr: float = hyper(2e-4, "Adam's learning rate for D")
    beta1: float = hyper(0.5, "Adam's decay of the gradients' mean", below=1.0)
    beta2: float = hyper(0.999, "Adam's decay of the gradients' square", below=1.0)
    d_steps: int = hyper(1, "steps of D for each step of G")
    ema_half_life: float = hyper(
        10_000.0, "images, a batch for each step of G, after which the average has forgotten half; 0: no average"
    )
    lecam: float = hyper(0.0, "LeCam: weight of D's distance to the other kind's average logit; 0: none")
    san: bool = hyper(False, "SAN: D's last layer is a direction of length 1 with a loss of its own")
    distillation: float = hyper(0.0, "SD-GAN: weight of G's squared distance to the averaged G; 0: none")

    def __post_init__(self) -> None:
        for declared, wrong in wrong_numbers(self):
            raise ValueError(f"{declared.name}={getattr(self, declared.name)} {wrong}.")
        if self.simultaneous and self.d_steps > 1:
            raise ValueError(f"d_steps={self.d_steps}: both networks step at once here.")

    def changes_from(self, other: "Recipe") -> dict[str, Any]:
        """The hyperparameters in which this recipe differs from another of its class, with its own values."""
        theirs = asdict(other)
        return {name: value for name, value in asdict(self).items() if value != theirs[name]}

    def fitted(self, spec: Spec, images: int, length: int) -> Self:
        """This recipe with the hyperparameters that depend on the data set.

        The result is recorded with the run, so resuming with a longer length does not change it.

        Args:
            spec: Shape and classes of the images.
            images: Number of training images.
            length: Number of real images that D sees in the planned run.

        Raises:
            ValueError: A hyperparameter makes no sense with these data.
        """
        return self

    def lasting(self, seconds: float, stage_seconds: Sequence[float], images_per_step: int) -> tuple[Self, int]:
        """This recipe, divided into its stages, and how many steps take so many seconds.

        ``stage_seconds`` are those of a step in each stage, or at places along the run where the networks grow.
        """
        return self, max(1, int(seconds / (sum(stage_seconds) / len(stage_seconds))))

    def in_stages(
        self,
        lengths: Sequence[str],
        shares: Sequence[float],
        seconds: float,
        stage_seconds: Sequence[float],
        images_per_step: int,
    ) -> tuple[Self, int]:
        """`lasting` of stages, by `steps_of_stages`.

        ``lengths`` names the hyperparameters that hold the images of each stage but the last; 0 means that the time
        decides.
        """
        names = lengths[: len(stage_seconds) - 1]
        given = [math.ceil(getattr(self, name) / images_per_step) for name in names]
        steps = steps_of_stages(seconds, stage_seconds, [*given, 0], shares)
        fitted: dict[str, Any] = {
            name: float(count * images_per_step) for name, count in zip(names, steps, strict=False)
        }
        return replace(self, **fitted), sum(steps)

    def continued(self) -> Self:
        """This recipe for a run that starts from trained networks (``--init-from``)."""
        return self

    def augmentation(self, spec: Spec, images: int) -> Augmentation:
        """The default augmentation for so many images."""
        return "none"

    @property
    def images_per_logit(self) -> int:
        """Images that D takes for one logit; a batch must be a multiple."""
        return 1

    def latent_values(self, spec: Spec) -> int:
        """Values of a latent, G's input, all from N(0, I): those of z, and of any noise that G takes with it."""
        return self.latent_dim

    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        """G and D, initialised from torch's global generator.

        ``G(latents, labels)`` gives images ``(N, C, H, W)`` in [-1, 1]; ``D(images, labels)`` gives logits ``(N,)``,
        or fewer if it takes several images for one.
        """
        raise NotImplementedError

    def optimizers(self, g: nn.Module, d: nn.Module) -> tuple[Optimizer, Optimizer]:
        """One optimizer for each network, corrected for lazy terms (`lazy_share`); `schedule` sets the rates."""
        g_share, d_share = lazy_share(self.g_interval), lazy_share(self.d_interval)
        return (
            adam(g, g_share * self.g_lr, self.beta1**g_share, self.beta2**g_share),
            adam(d, d_share * self.d_lr, self.beta1**d_share, self.beta2**d_share),
        )

    def schedule(self, images_seen: int) -> Rates:
        """The rates at this point of training; constant, except that the average's half-life grows at first."""
        half_life = ramped_half_life(self.ema_half_life, images_seen / self.d_steps)
        return Rates(lazy_share(self.g_interval) * self.g_lr, lazy_share(self.d_interval) * self.d_lr, half_life)

    def advance(self, network: nn.Module, images_seen: int) -> None:
        """Tell G, D or the averaged G before a step how many images were seen; for growing networks."""

    @property
    def grows(self) -> bool:
        """True if the networks change with the images seen, so that steps may differ."""
        return type(self).advance is not Recipe.advance or self.has_stages

    @property
    def has_stages(self) -> bool:
        """True if training has more than one `stage`."""
        return type(self).stage is not Recipe.stage

    def stage(self, images_seen: int) -> Stage:
        """The stage at this point of training."""
        return WHOLE

    def begin(self, stage: Stage, g: nn.Module, d: nn.Module, ema: nn.Module) -> None:
        """Copy weights between the whole networks, in place, before the first step of a stage."""

    def fit(self, codes: Tensor, g: nn.Module, ema: nn.Module) -> None:
        """Fit what the whole networks draw with, in place, to codes ``(n, versions, ...)`` of real images.

        Called before the first step of a stage that `fits`; a second version of an image is mirrored.
        """
        raise NotImplementedError

    def lone_loss(self, g: nn.Module, d: nn.Module, real: Batch, rates: Rates) -> Loss:
        """G's loss in a stage without D; ``g`` and ``d`` are the modules that the stage names."""
        raise NotImplementedError

    def generated(self, g: nn.Module, real: Batch, latents: Tensor, labels: Tensor | None) -> Batch:
        """The images that D learns to tell from real ones, with G's graph.

        A recipe that overrides this may give reconstructions of the real images of the same step.
        """
        return Batch(g(latents, labels), labels, latents)

    @property
    def rebuilds(self) -> bool:
        """True if the generated images of a training step belong to its real images, pair by pair."""
        return type(self).generated is not Recipe.generated

    def d_adversarial(self, real: Tensor, fake: Tensor) -> Tensor:
        """D's adversarial loss, a scalar function of its logits ``(N,)``."""
        raise NotImplementedError

    def chance(self) -> float | None:
        """`d_adversarial` of a D that only guesses (all logits 0); None if it is undefined or 0.

        D's loss as a share of this says how far D has won. It is 0 for critics, whose loss has no bound.
        """
        if type(self).d_adversarial is Recipe.d_adversarial:
            return None
        with torch.random.fork_rng(devices=[]):  # a loss may be random
            torch.default_generator.manual_seed(0)
            return self.d_adversarial(torch.zeros(1000), torch.zeros(1000)).item() or None

    def g_adversarial(self, fake: Tensor) -> Tensor:
        """G's adversarial loss, a scalar function of D's logits ``(N,)`` on generated images."""
        raise NotImplementedError

    def d_penalties(self, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> dict[str, Tensor]:
        """Further terms of D's loss by name: scalars that contain their weights."""
        return {}

    @property
    def d_interval(self) -> int:
        """Steps from one `d_regularisation` to the next; 0: there is none."""
        return 0

    @property
    def g_interval(self) -> int:
        """Steps from one `g_regularisation` to the next; 0: there is none."""
        return 0

    @property
    def cycle(self) -> int:
        """Steps after which lazy terms are due in the same order again; 1 without them."""
        return math.lcm(self.d_interval or 1, self.g_interval or 1)

    def d_regularisation(self, d: nn.Module, real: Batch, rates: Rates) -> dict[str, Tensor]:
        """Lazy terms of D by name, with their weights, for an optimizer step of their own every `d_interval` steps.

        The step multiplies them by the interval. ``real`` are the images of D's next step.
        """
        raise NotImplementedError

    def g_regularisation(self, g: nn.Module, d: nn.Module, latents: Tensor, labels: Tensor | None) -> dict[str, Tensor]:
        """Lazy terms of G for latents ``(N, latent_dim)`` and labels ``(N,)``; see `d_regularisation`."""
        raise NotImplementedError

    def logits(self, d: nn.Module, real: Batch, fake: Batch) -> tuple[Tensor, Tensor]:
        """D's logits of real and generated images, in one pass; in two if D mixes samples."""
        if self.mixes_samples:
            return d(real.images, real.labels), d(fake.images, fake.labels)
        real_logits, fake_logits = joint_logits(d, real, fake).tensor_split([len(real.images)])
        return real_logits, fake_logits

    def d_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """D's loss; ``fake`` is detached from G.

        Compiled networks have the attributes of those from `networks`, but are not instances of their classes.
        """
        real_logits, fake_logits = self.logits(d, real, fake)
        terms = {"adv": self.d_adversarial(real_logits, fake_logits)}
        return Loss(terms | self.d_penalties(d, real, fake, rates), {"real": real_logits, "fake": fake_logits})

    def constrain(self, d: nn.Module) -> None:
        """Bring D's weights back into their bounds after its step."""

    def g_loss(self, g: nn.Module, d: nn.Module, real: Batch, fake: Batch, rates: Rates) -> Loss:
        """G's loss; D's weights are frozen."""
        return Loss({"adv": self.g_adversarial(d(fake.images, fake.labels))})


def joint_logits(d: nn.Module, real: Batch, fake: Batch) -> Tensor:
    """D's logits of real images followed by those of generated ones, from one pass."""
    labels = None if real.labels is None or fake.labels is None else torch.cat([real.labels, fake.labels])
    return d(torch.cat([real.images, fake.images]), labels)


def year_of(recipe: type[Recipe]) -> int:
    """The year of the recipe's paper."""
    return int(re.findall(r"\b\d{4}\b", recipe.paper.partition(", arXiv:")[0])[0])


def adam(network: nn.Module, lr: float, beta1: float, beta2: float) -> Optimizer:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980) in its fused form, which updates all weights at once."""
    return Adam(network.parameters(), lr=lr, betas=(beta1, beta2), fused=True)
