"""Truncated and interpolated latents."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize
from torch.special import ndtr, ndtri

from gancli.randomness import numbered_latents

MIN_SINE = 1e-3
"""Latents whose angle has a smaller sine are interpolated linearly."""


def truncated(latents: Tensor, bound: float) -> Tensor:
    """Map draws from N(0, I) to draws from the same distribution truncated to [-bound, bound], ``bound`` > 0.

    The truncation trick of BigGAN (Brock et al. 2019, arXiv:1809.11096, section 3.1) trades variety for quality. Each
    value keeps its quantile, so an image changes gradually with the bound.

    Example:
        >>> truncated(torch.tensor([-9.0, 0.0, 9.0]), 0.5).tolist()
        [-0.5, 0.0, 0.5]
    """
    below = ndtr(torch.tensor(-bound, dtype=torch.float64))
    values = ndtri(below + ndtr(latents.double()) * (1 - 2 * below))
    return values.clamp(-bound, bound).to(latents.dtype)


def arc(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Spherical interpolation: a share ``t`` ``(N, 1)`` of the way from a to b, ``(N, d)``, by angle and by length.

    A straight line would pass through lengths that N(0, I) in many dimensions does not have.

    Example:
        >>> halfway = arc(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 3.0]]), torch.tensor([[0.5]]))
        >>> round(halfway.norm().item(), 4)
        2.0
    """
    start, end = normalize(a, dim=1), normalize(b, dim=1)
    angle = (start * end).sum(1, keepdim=True).clamp(-1, 1).acos()
    sine = angle.sin()
    direction = (((1 - t) * angle).sin() * start + (t * angle).sin() * end) / sine.clamp_min(MIN_SINE)
    turned = direction * torch.lerp(a.norm(dim=1, keepdim=True), b.norm(dim=1, keepdim=True), t)
    return torch.where(sine < MIN_SINE, torch.lerp(a, b, t), turned)


def frames(
    numbers: Sequence[int], steps: int, seed: int, latent_dim: int, places: range, truncation: float | None = None
) -> Tensor:
    """Latents of the frames ``places`` of a closed walk, ``(len(places), latent_dim)``.

    The walk goes from each numbered latent to the next, and from the last to the first, with ``steps`` frames for each
    pair. Frame ``k * steps`` is number k itself. ``truncation`` is the bound of `truncated`.
    """
    first, last = places.start // steps, (places.stop - 1) // steps + 1
    ends = numbered_latents(seed, [numbers[k % len(numbers)] for k in range(first, last + (steps > 1))], latent_dim)
    ends = ends if truncation is None else truncated(ends, truncation)
    if steps == 1:
        return ends
    leg = torch.tensor([place // steps - first for place in places])
    t = torch.tensor([[place % steps / steps] for place in places])
    return torch.where(t == 0, ends[leg], arc(ends[leg], ends[leg + 1], t))
