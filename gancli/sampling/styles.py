"""Truncate and mix the styles of a generator that has two halves: ``G(z) = G.synthesis(G.mapping(z), z)``.

``mapping(latents, labels)`` gives styles ``(N, L, W)``; ``synthesis(styles, latents)`` gives images, and takes nothing
but noise from the latents.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gancli.data.conditions import Label, default_labels
from gancli.randomness import BLOCK, numbered_latents

MEAN_OF = 1024
"""Number of latents whose mean style is taken."""


def has_styles(network: nn.Module) -> bool:
    """True if the generator has the two halves."""
    return hasattr(network, "mapping") and hasattr(network, "synthesis")


@torch.inference_mode()
def mean_styles(network: Any, latent_dim: int, choices: Sequence[Label]) -> Tensor:
    """The mean style of each class ``(classes, L, W)``, or of all images ``(1, L, W)`` without classes."""
    device = next(network.parameters()).device
    totals = []
    for start in range(0, MEAN_OF, BLOCK):
        latents = numbered_latents(0, range(start, start + BLOCK), latent_dim).to(device)
        labels = _labels_to_average(choices, range(start, start + BLOCK), device)
        totals.append(torch.stack([network.mapping(latents, each).mean(0) for each in labels]))
    return torch.stack(totals).mean(0)


def _labels_to_average(choices: Sequence[Label], numbers: range, device: torch.device) -> list[Tensor | None]:
    """The labels of each mean: every class, or once all conditions in turn; once None without labels."""
    if not choices:
        return [None]
    if isinstance(choices[0], tuple):
        return [torch.tensor(default_labels(numbers, choices), device=device)]
    return [torch.full((len(numbers),), label, device=device) for label in choices if isinstance(label, int)]


def truncated(styles: Tensor, labels: Tensor | None, means: Tensor, shares: Tensor) -> Tensor:
    """Styles ``(N, L, W)`` moved to shares ``(N,)`` of their way from the mean of their class, of `mean_styles`.

    The truncation trick in W: Karras 2019 (arXiv:1812.04948), appendix B, whose mean is that of all classes. With a
    share of 1 a style keeps every bit.
    """
    mean = means if labels is None or len(means) == 1 else means[labels]
    return torch.lerp(mean, styles, shares[:, None, None])


def mixtures(styles: Tensor) -> Tensor:
    """Styles of two images ``(2, L, W)`` -> ``(L + 1, L, W)``; row k has the second's last k styles.

    Style mixing: Karras 2019, section 3.1. Row 0 is the first image, row L has all styles of the second.
    """
    count = styles.shape[1]
    number = torch.arange(count + 1, device=styles.device)
    is_first = number[:count] < count - number[:, None]
    return torch.where(is_first[:, :, None], styles[0], styles[1])
