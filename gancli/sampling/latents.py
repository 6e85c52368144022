"""Where latents lie that are not simply drawn: nearer to the mean, or on the way from one to another."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize
from torch.special import ndtr, ndtri

from gancli.randomness import numbered_latents

LEAST_SINE = 1e-3
"""Of the angle between two latents, below which the way between them is a straight line."""


def truncated(latents: Tensor, bound: float) -> Tensor:
    """Draws from N(0, I) as draws from the same distribution cut off at ``bound`` each way, ``bound`` > 0.

    The truncation trick of BigGAN (Brock et al. 2019, arXiv:1809.11096, section 3.1), which trades variety for
    quality. Each value keeps its quantile, so that an image changes little by little with the bound.
    """
    below = ndtr(torch.tensor(-bound, dtype=torch.float64))
    values = ndtri(below + ndtr(latents.double()) * (1 - 2 * below))
    return values.clamp(-bound, bound).to(latents.dtype)


def arc(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Latents a share ``t`` ``(N, 1)`` of the way from a to b, ``(N, d)``, by angle and by length.

    A straight line between latents of many dimensions would pass through lengths that N(0, I) never has.
    """
    start, end = normalize(a, dim=1), normalize(b, dim=1)
    angle = (start * end).sum(1, keepdim=True).clamp(-1, 1).acos()
    sine = angle.sin()
    direction = (((1 - t) * angle).sin() * start + (t * angle).sin() * end) / sine.clamp_min(LEAST_SINE)
    turned = direction * torch.lerp(a.norm(dim=1, keepdim=True), b.norm(dim=1, keepdim=True), t)
    return torch.where(sine < LEAST_SINE, torch.lerp(a, b, t), turned)


def frames(
    numbers: Sequence[int], steps: int, seed: int, latent_dim: int, places: range, truncation: float | None = None
) -> Tensor:
    """Latents of these frames of a closed walk, ``(len(places), latent_dim)``.

    The walk goes from each numbered latent to the next, and from the last to the first, in ``steps`` frames each;
    frame ``k * steps`` is that of number k itself, so that with one step there are no others. ``truncation``: see
    `truncated`.
    """
    first, last = places.start // steps, (places.stop - 1) // steps + 1
    ends = numbered_latents(seed, [numbers[k % len(numbers)] for k in range(first, last + (steps > 1))], latent_dim)
    ends = ends if truncation is None else truncated(ends, truncation)
    if steps == 1:
        return ends
    leg = torch.tensor([place // steps - first for place in places])
    t = torch.tensor([[place % steps / steps] for place in places])
    return torch.where(t == 0, ends[leg], arc(ends[leg], ends[leg + 1], t))
