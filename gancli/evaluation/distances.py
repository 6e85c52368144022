"""Distances between all pairs of two sets of features, in blocks of rows to bound memory.

Large sets are searched by matrix products in single precision, and in double precision where that is not enough. Only
the distances of pairs that the search returns are computed by differences. The results are those of exact distances, in
a fraction of the time. One error is possible: among neighbours nearer than a millionth of the features' distance to
their mean, the order may be wrong.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK_BYTES = 2**28
EXACT_WORK = 1e9
"""Pairs times features up to which all distances are computed by differences; above, by matrix products."""
ROUNDING = {torch.float32: 1e-5, torch.float64: 1e-12}
"""Error bounds as shares of a pair's squared norms: several times the largest observed errors."""
SPARE = 3
"""Extra neighbours to search for, among which exact distances decide."""
MAX_NEAR = 0.02
"""Share of a block's pairs up to which their distances are computed by differences."""
ILL = 1e-6
"""Squared distances below this share of a pair's squared norms are recomputed by differences."""
PIECE = 128
"""Pairs per batch of differences, which stay in the processor's cache."""


@dataclass(frozen=True)
class Near:
    """Pairs of features that are near each other."""

    rows: Tensor
    """Indices in the first set, int64 ``(P,)``."""
    columns: Tensor
    """Indices in the second set."""
    apart: Tensor
    """Their distances, float64 ``(P,)``."""


def blocks(a: Tensor, b: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield slices of rows of ``a`` and their Euclidean distances to all of ``b``, float64 ``(rows, M)``.

    ``a`` is ``(N, d)``, ``b`` is ``(M, d)``.
    """
    others = b.double()
    for rows in _rows(a, b):
        yield rows, torch.cdist(a[rows].double(), others, compute_mode="donot_use_mm_for_euclid_dist")


def pairs_within(a: Tensor, b: Tensor, row_limits: Tensor, column_limits: Tensor) -> Iterator[Near]:
    """Yield all pairs whose distance is at most the limit of either, in blocks, each pair once.

    Limits are ``(N,)`` for ``a`` ``(N, d)`` and ``(M,)`` for ``b`` ``(M, d)``.
    """
    if _is_small(a, b):
        for rows, apart in blocks(a, b):
            places, columns = (apart <= torch.maximum(row_limits[rows, None], column_limits)).nonzero(as_tuple=True)
            yield Near(places + rows.start, columns, apart[places, columns])
        return
    screen = _Screen(a, b, torch.float32)
    own, others = ((limits / screen.scale).square().float() for limits in (row_limits, column_limits))
    for rows, bounds in screen:
        places, columns = (bounds <= torch.maximum(own[rows, None], others)).nonzero(as_tuple=True)
        many = len(places) > MAX_NEAR * bounds.numel()
        apart = (_by_product if many else _measured)(a[rows], b, places, columns)
        kept = apart <= torch.maximum(row_limits[rows][places], column_limits[columns])
        yield Near(places[kept] + rows.start, columns[kept], apart[kept])


def nearest(a: Tensor, b: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    """Distances of each row of ``a`` ``(N, d)`` to the ``k`` nearest of ``b`` ``(M, d)``, and their indices.

    Both are ``(N, k)``, float64 and int64, nearest first.

    Example:
        >>> nearest(torch.tensor([[0.0]]), torch.tensor([[5.0], [3.0]]))
        (tensor([[3.]], dtype=torch.float64), tensor([[1]]))
    """
    return _nearest(a, b, k, None, tuple(ROUNDING))


def nearest_others(features: Tensor, k: int, places: Tensor | None = None) -> Tensor:
    """Distances of each feature to its ``k`` nearest others of the same set ``(N, d)``: float64 ``(N, k)``, ascending.

    ``places`` selects rows. Distances are infinite where there are fewer than ``k`` others.

    Example:
        >>> nearest_others(torch.tensor([[0.0], [2.0]]), 2).tolist()
        [[2.0, inf], [2.0, inf]]
    """
    places = torch.arange(len(features)) if places is None else places
    apart, _ = _nearest(features[places], features, min(k, len(features) - 1), places, tuple(ROUNDING))
    return torch.nn.functional.pad(apart, (0, k - apart.shape[1]), value=torch.inf)


def _nearest(
    a: Tensor, b: Tensor, k: int, themselves: Tensor | None, precisions: tuple[torch.dtype, ...]
) -> tuple[Tensor, Tensor]:
    """`nearest`, where a row of ``a`` is not its own neighbour; ``themselves`` are the rows' indices in ``b``.

    A large set is searched in the first precision; rows for which that is not enough are searched in the next.
    """
    apart, places = torch.empty(len(a), k, dtype=torch.float64), torch.empty(len(a), k, dtype=torch.int64)
    screen = None if _is_small(a, b) else _Screen(a, b, precisions[0])
    for rows, bounds in screen or blocks(a, b):
        own = None if themselves is None else themselves[rows]
        if own is not None:
            bounds.scatter_(1, own[:, None], torch.inf)
        if screen is None:
            apart[rows], places[rows] = bounds.topk(k, largest=False)
            continue
        apart[rows], places[rows], least = _measured_least(a[rows], b, k, bounds)
        further = apart[rows, -1] / screen.scale
        unsure = rows.start + ((least <= further.square()) & (further > 0)).nonzero().flatten()
        if len(unsure) and len(precisions) > 1:
            own = None if themselves is None else themselves[unsure]
            apart[unsure], places[unsure] = _nearest(a[unsure], b, k, own, precisions[1:])
    return apart, places


def _measured_least(a: Tensor, b: Tensor, k: int, bounds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Distances and indices of the nearest among the lowest bounds, and a lower bound ``(rows,)`` of all others."""
    least, places = bounds.topk(min(k + SPARE, bounds.shape[1]), largest=False)
    rows = torch.arange(len(a))[:, None].expand_as(places)
    apart = _measured(a, b, rows.flatten(), places.flatten()).view(places.shape)
    apart, order = apart.masked_fill_(least.isinf(), torch.inf).topk(k, largest=False)
    others = least[:, -1] if least.shape[1] < bounds.shape[1] else torch.full((len(a),), torch.inf)
    return apart, places.gather(1, order), others


class _Screen:
    """Lower bounds of squared distances by matrix products, ``(rows, M)``, in units of ``scale`` squared."""

    def __init__(self, a: Tensor, b: Tensor, dtype: torch.dtype) -> None:
        self.a, self.b, self.dtype, self.centre = a, b, dtype, b.double().mean(0)
        corners = torch.stack([*a.aminmax(dim=0), *b.aminmax(dim=0)]).double() - self.centre
        self.scale = corners.norm(dim=1).max().item() or 1.0
        """More than half the norm of any feature, so that nothing overflows."""

    def __iter__(self) -> Iterator[tuple[slice, Tensor]]:
        near = self._scaled(self.b)
        share, squares, near = 1 - ROUNDING[self.dtype], near.square().sum(1), near.to(self.dtype)
        for rows in _rows(self.a, self.b):
            part = self._scaled(self.a[rows])
            own = part.square().sum(1, keepdim=True)
            bounds = torch.addmm((share * squares).to(self.dtype), part.to(self.dtype), near.T, alpha=-2)
            yield rows, bounds.add_((share * own).to(self.dtype))

    def _scaled(self, features: Tensor) -> Tensor:
        return (features.double() - self.centre) / self.scale


def _is_small(a: Tensor, b: Tensor) -> bool:
    return len(a) * len(b) * a.shape[1] <= EXACT_WORK


def _rows(a: Tensor, b: Tensor) -> Iterator[slice]:
    """Blocks of rows of ``a`` whose distances to all of ``b`` fit into `BLOCK_BYTES`."""
    count = max(1, BLOCK_BYTES // (8 * len(b)))
    return (slice(start, min(start + count, len(a))) for start in range(0, len(a), count))


def _measured(a: Tensor, b: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Distances of given pairs, float64 ``(P,)``, by differences."""
    pieces = zip(rows.split(PIECE), columns.split(PIECE), strict=True)
    parts = [a.index_select(0, i).double().sub_(b.index_select(0, j)).square_().sum(1) for i, j in pieces]
    return torch.cat(parts).sqrt_()


def _by_product(a: Tensor, b: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The same by a matrix product, for many pairs; by differences where the product rounds too much."""
    centre = b.double().mean(0)
    part, near = a.double() - centre, b.double() - centre
    own, squares = part.square().sum(1), near.square().sum(1)
    total = own[rows] + squares[columns]
    squared = torch.addmm(own[:, None] + squares, part, near.T, alpha=-2)[rows, columns]
    ill = squared <= ILL * total
    squared[ill] = _measured(a, b, rows[ill], columns[ill]).square_()
    return squared.sqrt_()
