"""Distances between all pairs of two sets of features, in blocks of rows, so that memory is bounded.

Large sets are searched in single precision by matrix products, and what is near is measured again in double: figures
are those of exact distances, at a fraction of the time.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK_BYTES = 2**28
EXACT_WORK = 1e9
"""Pairs times features up to which differences are taken one by one; beyond, a matrix product is worth its rounding."""
ROUNDING = 1e-12
"""Of squared norms: what a matrix product leaves of the distance between equal features."""
SINGLE_ROUNDING = 1e-5
"""Likewise in single precision; several times what products of thousands of values were seen to be off."""
SPARE = 3
"""Neighbours searched for beyond those wanted, from which exact distances choose."""
MOST_NEAR = 0.02
"""Share of a block's pairs up to which they are measured one by one."""
PIECE = 128
"""Pairs that are measured at a time: their differences stay in the processor's cache."""


@dataclass(frozen=True)
class Near:
    """Pairs of features that are near each other."""

    rows: Tensor
    """Places in the first set, int64 ``(P,)``."""
    columns: Tensor
    """Places in the second."""
    apart: Tensor
    """Their distances, float64 ``(P,)``."""


def blocks(a: Tensor, b: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Rows of ``a`` and their Euclidean distances to all of ``b``: float64 ``(rows, M)``.

    ``a`` is ``(N, d)``, ``b`` is ``(M, d)``. Equal features are at distance exactly 0.
    """
    rows = max(1, BLOCK_BYTES // (8 * len(b)))
    centre = b.double().mean(0)
    near = b.double() if _is_small(a, b) else b.double() - centre
    for start in range(0, len(a), rows):
        chosen = slice(start, min(start + rows, len(a)))
        if _is_small(a, b):
            yield chosen, torch.cdist(a[chosen].double(), near, compute_mode="donot_use_mm_for_euclid_dist")
        else:
            yield chosen, _by_product(a[chosen].double() - centre, near)


def pairs_within(a: Tensor, b: Tensor, row_limits: Tensor, column_limits: Tensor) -> Iterator[Near]:
    """All pairs that are as near as the limit of either, ``(N,)`` of ``a`` ``(N, d)`` or ``(M,)`` of ``b`` ``(M, d)``.

    In blocks; a pair comes once.
    """
    if _is_small(a, b):
        for rows, apart in blocks(a, b):
            yield _chosen(apart, rows.start, row_limits[rows, None], column_limits)
        return
    screen = _Screen(a, b)
    own, others = row_limits.square().float(), column_limits.square().float()
    for rows, least in screen:
        places, columns = (least <= torch.maximum(own[rows, None], others)).nonzero(as_tuple=True)
        if len(places) > MOST_NEAR * least.numel():
            apart = _by_product(a[rows].double() - screen.centre, b.double() - screen.centre)
            yield _chosen(apart, rows.start, row_limits[rows, None], column_limits)
            continue
        places = places + rows.start
        apart = _measured(a, b, places, columns)
        kept = apart <= torch.maximum(row_limits[places], column_limits[columns])
        yield Near(places[kept], columns[kept], apart[kept])


def nearest(a: Tensor, b: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    """For each of ``a`` ``(N, d)`` the distances to the ``k`` nearest of ``b`` ``(M, d)``, and the places of those.

    Both are ``(N, k)``, float64 and int64, the nearest first.
    """
    return _nearest(a, b, k, None)


def nearest_others(features: Tensor, k: int, places: Tensor | None = None) -> Tensor:
    """Distances of each feature to its ``k`` nearest others of the same set ``(N, d)``: float64 ``(N, k)``, ascending.

    ``places`` asks for these rows alone. Where there are fewer than ``k`` others the distance is infinite.
    """
    places = torch.arange(len(features)) if places is None else places
    found, _ = _nearest(features[places], features, min(k, len(features) - 1), places)
    return torch.nn.functional.pad(found, (0, k - found.shape[1]), value=torch.inf)


def _nearest(a: Tensor, b: Tensor, k: int, themselves: Tensor | None) -> tuple[Tensor, Tensor]:
    """See `nearest`; ``themselves`` are the places in ``b`` of the rows of ``a``, which do not count."""
    found = [_least(apart, rows, k, themselves) for rows, apart in blocks(a, b)] if _is_small(a, b) else []
    if not found:
        for rows, least in _Screen(a, b):
            own = None if themselves is None else themselves[rows]
            if own is not None:
                least.scatter_(1, own[:, None], torch.inf)
            found.append(_checked(a[rows], b, k, least, own))
    apart, places = zip(*found, strict=True) if found else ([a.new_empty(0, k).double()], [torch.empty(0, k).long()])
    return torch.cat(list(apart)), torch.cat(list(places))


def _checked(a: Tensor, b: Tensor, k: int, bounds: Tensor, themselves: Tensor | None) -> tuple[Tensor, Tensor]:
    """The nearest among those of the least bounds, and among all where another could be nearer than these."""
    least, places = bounds.topk(min(k + SPARE, bounds.shape[1]), largest=False)
    rows = torch.arange(len(a))[:, None].expand_as(places)
    apart = _measured(a, b, rows.flatten(), places.flatten()).view(places.shape)
    apart.masked_fill_(least.isinf(), torch.inf)
    apart, order = apart.topk(k, largest=False)
    places = places.gather(1, order)
    unsure = (least[:, -1] <= apart[:, -1].square()) & ~least[:, -1].isinf()
    if least.shape[1] < bounds.shape[1] and unsure.any():
        again = [
            _least(each, rows, k, None if themselves is None else themselves[unsure])
            for rows, each in blocks(a[unsure], b)
        ]
        apart[unsure], places[unsure] = (torch.cat(list(each)) for each in zip(*again, strict=True))
    return apart, places


def _least(apart: Tensor, rows: slice, k: int, themselves: Tensor | None) -> tuple[Tensor, Tensor]:
    if themselves is not None:
        apart.scatter_(1, themselves[rows, None], torch.inf)
    values, places = apart.topk(k, largest=False)
    return values, places


class _Screen:
    """Bounds below the squared distances, by rows, from products in single precision: float32 ``(rows, M)``."""

    def __init__(self, a: Tensor, b: Tensor) -> None:
        self.centre = b.double().mean(0)
        self.a, near = a, b.double() - self.centre
        self.near, self.squares = near.float(), near.square().sum(1)
        self.rows = max(1, BLOCK_BYTES // (8 * len(b)))

    def __iter__(self) -> Iterator[tuple[slice, Tensor]]:
        most, squares = self.squares.max(), self.squares.float()
        for start in range(0, len(self.a), self.rows):
            chosen = slice(start, min(start + self.rows, len(self.a)))
            part = self.a[chosen].double() - self.centre
            own = part.square().sum(1, keepdim=True)
            shift = own - SINGLE_ROUNDING * (own + most)
            yield chosen, torch.addmm(squares, part.float(), self.near.T, alpha=-2).add_(shift.float())


def _is_small(a: Tensor, b: Tensor) -> bool:
    return len(a) * len(b) * a.shape[1] <= EXACT_WORK


def _by_product(part: Tensor, near: Tensor) -> Tensor:
    """Distances of centred features by a matrix product in double precision."""
    total = part.square().sum(1)[:, None] + near.square().sum(1)
    squared = torch.addmm(total, part, near.T, alpha=-2)
    return squared.masked_fill_(squared <= ROUNDING * total, 0).sqrt_()


def _chosen(apart: Tensor, start: int, row_limits: Tensor, column_limits: Tensor) -> Near:
    rows, columns = (apart <= torch.maximum(row_limits, column_limits)).nonzero(as_tuple=True)
    return Near(rows + start, columns, apart[rows, columns])


def _measured(a: Tensor, b: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Distances of single pairs, float64 ``(P,)``, by differences."""
    pieces = zip(rows.split(PIECE), columns.split(PIECE), strict=True)
    found = [a.index_select(0, i).double().sub_(b.index_select(0, j)).square_().sum(1) for i, j in pieces]
    return torch.cat(found).sqrt_()
