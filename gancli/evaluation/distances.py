"""Distances between all pairs of two sets of features, in blocks of rows, so that memory is bounded."""

from collections.abc import Iterator

import torch
from torch import Tensor

BLOCK_BYTES = 2**28
EXACT_WORK = 1e9
"""Pairs times features up to which differences are taken one by one; beyond, a matrix product is worth its rounding."""
ROUNDING = 1e-12
"""Of squared norms: what a matrix product leaves of the distance between equal features."""


def blocks(a: Tensor, b: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Rows of ``a`` and their Euclidean distances to all of ``b``: float64 ``(rows, M)``.

    ``a`` is ``(N, d)``, ``b`` is ``(M, d)``. Equal features are at distance exactly 0.
    """
    rows = max(1, BLOCK_BYTES // (8 * len(b)))
    exact = len(a) * len(b) * a.shape[1] <= EXACT_WORK
    centre = b.double().mean(0)
    near, squares = (b.double(), None) if exact else _centred(b, centre)
    for start in range(0, len(a), rows):
        chosen = slice(start, min(start + rows, len(a)))
        if squares is None:
            yield chosen, torch.cdist(a[chosen].double(), near, compute_mode="donot_use_mm_for_euclid_dist")
        else:
            part, norms = _centred(a[chosen], centre)
            total = norms[:, None] + squares
            squared = torch.addmm(total, part, near.T, alpha=-2)
            yield chosen, squared.masked_fill_(squared <= ROUNDING * total, 0).sqrt_()


def nearest(a: Tensor, b: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    """For each of ``a`` ``(N, d)`` the distances to the ``k`` nearest of ``b`` ``(M, d)``, and the places of those.

    Both are ``(N, k)``, float64 and int64, the nearest first.

    Large sets are searched in single precision, which can mistake two that are equally near but for rounding.
    """
    if len(a) * len(b) * a.shape[1] <= EXACT_WORK:
        places = torch.cat([apart.topk(k, largest=False).indices for _, apart in blocks(a, b)])
    else:
        places = _search(a, b, k)
    apart = torch.stack([(a.double() - b.double()[each]).norm(dim=1) for each in places.unbind(1)], 1)
    return apart, places


def nearest_others(features: Tensor, k: int, places: Tensor | None = None) -> Tensor:
    """Distances of each feature to its ``k`` nearest others of the same set ``(N, d)``: float64 ``(N, k)``, ascending.

    ``places`` asks for these rows alone. Where there are fewer than ``k`` others the distance is infinite.
    """
    places = torch.arange(len(features)) if places is None else places
    found = []
    for rows, distances in blocks(features[places], features):
        distances.scatter_(1, places[rows, None], torch.inf)
        least = distances.topk(min(k, len(features)), largest=False).values
        found.append(torch.nn.functional.pad(least, (0, k - least.shape[1]), value=torch.inf))
    return torch.cat(found)


def _search(a: Tensor, b: Tensor, k: int) -> Tensor:
    centre = b.double().mean(0)
    near, squares = _centred(b, centre)
    near, half = near.float(), squares.float() / 2
    parts = (a.double() - centre).float().split(max(1, BLOCK_BYTES // (4 * len(b))))
    return torch.cat([torch.addmm(half, part, near.T, alpha=-1).topk(k, largest=False).indices for part in parts])


def _centred(features: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
    moved = features.double() - centre
    return moved, moved.square().sum(1)
