"""Draw numbered images: image k of a seed is the same, whatever else is drawn."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from gancli.data.conditions import Label, default_labels
from gancli.functional.pixels import to_pixels
from gancli.randomness import numbered_latents

ROWS = 16
"""The batch of a forward pass is a multiple of this, since rounding may depend on its size."""
BATCH_PIXELS = 2**20
"""Bound of ``batch * height * width``, which keeps the activations of usual generators under about 1 GiB."""


def batch_size_for(height: int, width: int) -> int:
    """Default number of images in a forward pass."""
    return max(ROWS, min(256, BATCH_PIXELS // (height * width)) // ROWS * ROWS)


def draw_batch(
    network: nn.Module,
    latent_dim: int,
    numbers: Sequence[int],
    seed: int,
    labels: Sequence[Label] | None,
    point_scale: float | None = None,
) -> Tensor:
    """`draw_latents` for the images with these numbers."""
    return draw_latents(network, numbered_latents(seed, numbers, latent_dim), labels, point_scale)


def draw_latents(
    network: nn.Module,
    latents: Tensor,
    labels: Sequence[Label] | None,
    point_scale: float | None = None,
    through: Callable[[Tensor, Tensor | None], Tensor] | None = None,
) -> Tensor:
    """Images uint8 ``(N, C, H, W)`` on the CPU for latents ``(N, latent_dim)``, in one forward pass.

    ``labels`` are classes or conditions, one per latent, or None for an unconditional generator. With a ``point_scale``
    the result is coordinates, float32 ``(N, 2, 1, 1)``: the generator's values times the scale. ``through`` draws in
    place of the network.
    """
    device, count = next(network.parameters()).device, len(latents)
    surplus = -count % ROWS
    filled = torch.cat([latents, latents[:1].expand(surplus, -1)]).to(device)
    chosen = None if labels is None else torch.tensor([*labels, *[labels[0]] * surplus], device=device)
    with torch.inference_mode():
        images = (through or network)(filled, chosen)[:count]
        return (to_pixels(images) if point_scale is None else images.float() * point_scale).cpu()


def draw_first(
    network: nn.Module,
    latent_dim: int,
    choices: Sequence[Label],
    seed: int,
    count: int,
    point_scale: float | None = None,
) -> Tensor:
    """Images 0 to ``count - 1`` of a seed, the same as from ``gancli sample``; ``choices`` take turns."""
    parts = [range(start, min(start + 64, count)) for start in range(0, count, 64)]
    return torch.cat(
        [draw_batch(network, latent_dim, part, seed, default_labels(part, choices), point_scale) for part in parts]
    )
