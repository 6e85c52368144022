"""What can be measured of a GAN's health while it trains, with the same meaning for every recipe.

Nothing here changes what is trained: networks are asked in evaluation mode, latents are fixed, no generator of random
numbers is touched.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gancli.randomness import numbered_latents

SAMPLES = 64
"""Images of each kind at most: generated, trained on, held out."""
TWIN = 0.02
"""Two samples that are nearer than this share of the mean distance of real images are duplicates."""


@dataclass
class VitalSigns:
    """Measures networks on fixed images and latents.

    ``train`` and ``heldout`` are float images ``(n, C, H, W)`` in [-1, 1] on the device, with labels ``(n,)`` or None.
    As many samples are drawn as there are images in ``train``.
    """

    g: nn.Module
    d: nn.Module
    ema: nn.Module
    scaler: torch.amp.GradScaler
    latent_dim: int
    classes: int
    """Of a conditional generator; 0: unconditional."""
    chance: float | None
    """D's adversarial loss where it cannot tell real from generated; None: the recipe's has no such value."""
    train: tuple[Tensor, Tensor | None]
    heldout: tuple[Tensor, Tensor | None]

    def __post_init__(self) -> None:
        count, device = len(self.train[0]), self.train[0].device
        self.latents = numbered_latents(0, range(count), self.latent_dim).to(device)
        self.labels = torch.arange(count, device=device) % self.classes if self.classes else None
        self.real_spread = _spread(self.train[0], self.train[1] if self.classes else None)
        self.real_contrast = self.train[0].std().item()

    @torch.no_grad()
    def __call__(self, means: dict[str, float]) -> dict[str, float]:
        """The signs after a step, as ``health/<name>``; ``means`` are the losses' since the last line.

        - separation: share of the pairs of a training image and a sample that D ranks rightly;
        - d_left: D's adversarial loss as a share of that of a D that cannot tell;
        - memorised: (D(train) - D(held out)) / (D(train) - D(samples)), r_v of Karras 2020 (arXiv:2006.06676), eq. 1;
        - g_gradient: Euclidean norm of G's gradient in the step just done;
        - loss_scale: the factor of the losses in fp16, which halves where a gradient was not finite;
        - diversity: mean distance of two samples (of one class, where classes are drawn) over that of real images;
        - duplicates: share of the samples that have a twin among them, not of points, which healthy modes crowd;
        - contrast: standard deviation of the samples' values over that of real images.
        """
        with _at_rest(self.g), _at_rest(self.d):
            fake = self.g(self.latents, self.labels).float()
            on_fake = self.d(fake, self.labels).float()
            on_train, on_heldout = (self.d(*images).float() for images in (self.train, self.heldout))
        averaged = self.ema(self.latents, self.labels).float()
        lead = on_train.mean() - on_fake.mean()
        memorised = torch.where(lead > 1e-6, (on_train.mean() - on_heldout.mean()) / lead, torch.zeros_like(lead))
        signs = {
            "separation": (on_train[:, None] > on_fake).float().mean(),
            "memorised": memorised.clamp(-1, 1),
            "g_gradient": _norm(self.g),
            "diversity": _spread(averaged, self.labels) / self.real_spread,
            **({} if averaged[0].numel() == 2 else {"duplicates": _duplicates(averaged, self.real_spread)}),
            "contrast": averaged.std() / self.real_contrast,
        }
        found = dict(zip(signs, torch.stack([value.float().cpu() for value in signs.values()]).tolist(), strict=True))
        if self.scaler.is_enabled():
            found["loss_scale"] = self.scaler.get_scale()
        if self.chance is not None and "d/adv" in means:
            found["d_left"] = means["d/adv"] / self.chance
        return {f"health/{name}": value for name, value in found.items()}


@contextlib.contextmanager
def _at_rest(network: nn.Module) -> Iterator[None]:
    """In evaluation mode for a while; modules that were frozen in it stay so."""
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _spread(images: Tensor, labels: Tensor | None) -> Tensor:
    """Mean distance of two images ``(n, ...)``; of two of one class if there are labels ``(n,)``."""
    distances = torch.cdist(images.flatten(1), images.flatten(1))
    pairs = ~torch.eye(len(images), dtype=torch.bool, device=images.device)
    if labels is not None:
        same = pairs & (labels[:, None] == labels)
        pairs = same if bool(same.any()) else pairs
    return distances[pairs].mean()


def _duplicates(images: Tensor, typical: Tensor) -> Tensor:
    distances = torch.cdist(images.flatten(1), images.flatten(1)).fill_diagonal_(torch.inf)
    return (distances.amin(1) < TWIN * typical).float().mean()


def _norm(network: nn.Module) -> Tensor:
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    return torch.stack(torch._foreach_norm(gradients)).norm() if gradients else torch.zeros(())
