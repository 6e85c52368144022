"""Precision, recall, density and coverage: who lies in whose neighbourhood. And images that are too near each other."""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from gancli.evaluation import distances
from gancli.evaluation.image_set import NEIGHBOURS
from gancli.evaluation.metrics.base import Metric, Sides, require

PRECISION_K = 3
DENSITY_K = NEIGHBOURS
TWINS = 0.01
"""Share of real images that are called near-duplicates, the nearest to another."""


@dataclass(frozen=True)
class Neighbourhood:
    """Four figures from the distances between all features; see `neighbourhood`."""

    precision: float
    recall: float
    density: float
    coverage: float


def neighbourhood(
    generated: Tensor, real: Tensor, generated_radii: Tensor | None = None, real_radii: Tensor | None = None
) -> Neighbourhood:
    """Precision, recall, density and coverage, in one pass over the distances of all pairs.

    A ball around a feature reaches its k-th neighbour of the same set. Precision is the share of generated
    features inside some real ball and recall the share of real ones inside some generated ball, k = 3
    (Kynkaanniemi et al. 2019, arXiv:1904.06991, eq. 2 and 3). Density is the mean number of real balls that a
    generated feature is strictly inside of, over k, and coverage the share of real balls that hold a generated
    feature, k = 5 (Naeem et al. 2020, arXiv:2002.09797, eq. 3 and 4). Memory is bounded by blocks of rows.
    Features are float64 ``(N, d)``; radii, if they are known, distances to the five nearest others ``(N, 5)``.
    UsageError for 5 samples or fewer.
    """
    require(min(len(generated), len(real)), DENSITY_K + 1, "neighbourhoods")
    real_radii = distances.nearest_others(real, NEIGHBOURS) if real_radii is None else real_radii
    own_radii = distances.nearest_others(generated, NEIGHBOURS) if generated_radii is None else generated_radii
    precise = torch.zeros(len(generated), dtype=torch.bool)
    reached, covered = (torch.zeros(len(real), dtype=torch.bool) for _ in range(2))
    balls = 0
    own, small, large = own_radii[:, PRECISION_K - 1], real_radii[:, PRECISION_K - 1], real_radii[:, DENSITY_K - 1]
    for near in distances.pairs_within(generated, real, own, large):
        rows, columns, apart = near.rows, near.columns, near.apart
        precise[rows[apart <= small[columns]]] = True
        reached[columns[apart <= own[rows]]] = True
        inside = columns[apart < large[columns]]
        covered[inside] = True
        balls += len(inside)
    return Neighbourhood(
        precision=_share(precise),
        recall=_share(reached),
        density=balls / (DENSITY_K * len(generated)),
        coverage=_share(covered),
    )


def near_duplicates(generated_radii: Tensor, real_radii: Tensor) -> float:
    """Share of generated images that have a twin: another one as near as only 1 % of real images have.

    Radii are distances to the nearest others ``(N, k)``, of equally many images on both sides. UsageError below 2.
    """
    require(min(len(generated_radii), len(real_radii)), 2, "a comparison of near-duplicates")
    return _share(generated_radii[:, 0] <= real_radii[:, 0].quantile(TWINS))


def _share(hits: Tensor) -> float:
    return hits.double().mean().item()


def _neighbourhood(sides: Sides) -> dict[str, float]:
    generated, real = sides.generated, sides.real
    require(min(len(generated), len(real)), DENSITY_K + 1, "neighbourhoods")
    found = neighbourhood(generated.features.values, real.features.values, generated.radii, real.radii)
    return asdict(found)


def _duplicates(sides: Sides) -> dict[str, float]:
    return {"duplicates": near_duplicates(sides.generated.radii, sides.real.radii)}


METRICS = (
    *(
        Metric(name, _neighbourhood, "higher", "fast", enough=1000)
        for name in ("precision", "recall", "density", "coverage")
    ),
    Metric("duplicates", _duplicates, "lower", "standard", enough=200),
)
