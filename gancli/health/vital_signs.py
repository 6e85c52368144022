"""Measurements of a GAN's health, with the same meaning for every recipe.

Measuring does not affect training: networks are in evaluation mode, latents are fixed, and no random generator is used.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gancli.randomness import numbered_latents

SAMPLES = 64
"""Largest number of images of each kind: generated, trained on, held out."""
TWIN = 0.02
"""Two samples are twins if their distance is below this share of the mean distance of real images."""


@dataclass
class VitalSigns:
    """Measures G, D and the averaged G on fixed images and latents.

    ``train`` and ``heldout`` are float images ``(n, C, H, W)`` in [-1, 1] on the device, with labels or None; labels
    are classes ``(n,)`` or conditions ``(n, K)``.
    As many samples are drawn as there are images in ``train``.
    """

    g: nn.Module
    d: nn.Module
    ema: nn.Module
    scaler: torch.amp.GradScaler
    latent_dim: int
    classes: int
    """Number of classes of a conditional generator; 0 if it is unconditional or draws by conditions."""
    train: tuple[Tensor, Tensor | None]
    heldout: tuple[Tensor, Tensor | None]

    def __post_init__(self) -> None:
        count, device = len(self.train[0]), self.train[0].device
        self.latents = numbered_latents(0, range(count), self.latent_dim).to(device)
        self.labels = torch.arange(count, device=device) % self.classes if self.classes else None
        self.of_class = self.labels
        if self.train[1] is not None and self.train[1].is_floating_point():  # samples have these conditions
            self.labels = self.train[1]
        self.real_spread = _spread(self.train[0], self.train[1] if self.classes else None)
        self.real_contrast = self.train[0].std().item()

    @torch.no_grad()
    def __call__(self, means: dict[str, float], chance: float | None) -> dict[str, float]:
        """Measure after a step; the names of the results begin with ``health/``.

        ``means`` are the mean losses since the last line of metrics. ``chance`` is D's adversarial loss when it
        guesses; None if the recipe's loss has no such value.

        - separation: share of pairs (training image, sample) that D ranks correctly;
        - heldout_separation: the same for pairs (held-out image, sample);
        - d_left: D's adversarial loss divided by its loss when it guesses;
        - logit_spread: standard deviation of D's logits over training images and samples together;
        - memorised: (D(train) - D(held out)) / (D(train) - D(samples)), r_v of Karras 2020 (arXiv:2006.06676), eq. 1;
        - g_gradient: Euclidean norm of G's gradient in the step just done;
        - loss_scale: factor of the losses in fp16, which halves after a gradient that is not finite;
        - diversity: mean distance of two samples (of one class, if G is conditional), divided by that of real images;
        - duplicates: share of samples that have a twin; not measured for points, which are dense in healthy modes;
        - contrast: standard deviation of the samples' values, divided by that of real images.
        """
        with _evaluating(self.g), _evaluating(self.d):
            fake = self.g(self.latents, self.labels).float()
            on_fake = self.d(fake, self.labels).float()
            on_train, on_heldout = (self.d(*images).float() for images in (self.train, self.heldout))
        averaged = self.ema(self.latents, self.labels).float()
        lead = on_train.mean() - on_fake.mean()
        memorised = torch.where(lead > 1e-6, (on_train.mean() - on_heldout.mean()) / lead, torch.zeros_like(lead))
        signs = {
            "separation": (on_train[:, None] > on_fake).float().mean(),
            "heldout_separation": (on_heldout[:, None] > on_fake).float().mean(),
            "logit_spread": torch.cat([on_train, on_fake]).std(),
            "memorised": memorised.clamp(-1, 1),
            "g_gradient": _norm(self.g),
            "diversity": _spread(averaged, self.of_class) / self.real_spread,
            **({} if averaged[0].numel() == 2 else {"duplicates": _duplicates(averaged, self.real_spread)}),
            "contrast": averaged.std() / self.real_contrast,
        }
        values = torch.stack([value.float().cpu() for value in signs.values()]).tolist()
        measured = dict(zip(signs, values, strict=True))
        if self.scaler.is_enabled():
            measured["loss_scale"] = self.scaler.get_scale()
        if chance is not None and "d/adv" in means:
            measured["d_left"] = means["d/adv"] / chance
        return {f"health/{name}": value for name, value in measured.items()}


@contextlib.contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode, then put back the modules that were training."""
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _spread(images: Tensor, labels: Tensor | None) -> Tensor:
    """Mean Euclidean distance of two images ``(n, ...)``, within one class if there are labels ``(n,)``."""
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
