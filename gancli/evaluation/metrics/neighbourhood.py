"""Precision, recall, density and coverage by neighbourhoods in feature space, and near-duplicates."""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from gancli.evaluation import distances
from gancli.evaluation.image_set import NEIGHBOURS
from gancli.evaluation.metrics.base import Metric, Sides, require

PRECISION_K = 3
DENSITY_K = NEIGHBOURS
TWINS = 0.01
"""Share of real images that the threshold counts as near-duplicates."""


@dataclass(frozen=True)
class Neighbourhood:
    """The results of `neighbourhood`, each at least 0; density alone may be above 1."""

    precision: float
    recall: float
    density: float
    coverage: float


def neighbourhood(
    generated: Tensor, real: Tensor, generated_radii: Tensor | None = None, real_radii: Tensor | None = None
) -> Neighbourhood:
    """Precision, recall, density and coverage, in one pass over the distances of all pairs.

    The ball B_k(x) around a feature reaches its k-th nearest other feature of the same set. For generated features
    y_j and real ones x_i:

    - precision: share of y_j within some B_3(x_i); recall: share of x_i within some B_3(y_j). Kynkaanniemi et al.
      2019 (arXiv:1904.06991), eq. 2 and 3.
    - density: ``1 / (k N) sum_j sum_i [y_j strictly inside B_k(x_i)]``; coverage: share of B_k(x_i) with some y_j
      strictly inside; k = 5. Naeem et al. 2020 (arXiv:2002.09797), eq. 3 and 4.

    Args:
        generated: float64 ``(N, d)``.
        real: float64 ``(M, d)``.
        generated_radii: distances to the five nearest others ``(N, 5)``, if known.
        real_radii: the same for real features ``(M, 5)``.

    Raises:
        TooFewImages: for 5 samples or fewer.

    Example:
        >>> line = torch.arange(10.0).double()[:, None]
        >>> neighbourhood(line, line)
        Neighbourhood(precision=1.0, recall=1.0, density=1.0, coverage=1.0)
        >>> neighbourhood(line + 100, line)
        Neighbourhood(precision=0.0, recall=0.0, density=0.0, coverage=0.0)
    """
    require(min(len(generated), len(real)), DENSITY_K + 1, "neighbourhoods")
    real_radii = distances.nearest_others(real, NEIGHBOURS) if real_radii is None else real_radii
    own_radii = distances.nearest_others(generated, NEIGHBOURS) if generated_radii is None else generated_radii
    in_real_ball = torch.zeros(len(generated), dtype=torch.bool)
    in_generated_ball, covered = (torch.zeros(len(real), dtype=torch.bool) for _ in range(2))
    pairs_inside = 0
    own = own_radii[:, PRECISION_K - 1]
    small, large = real_radii[:, PRECISION_K - 1], real_radii[:, DENSITY_K - 1]
    for near in distances.pairs_within(generated, real, own, large):
        rows, columns, apart = near.rows, near.columns, near.apart
        in_real_ball[rows[apart <= small[columns]]] = True
        in_generated_ball[columns[apart <= own[rows]]] = True
        inside = columns[apart < large[columns]]
        covered[inside] = True
        pairs_inside += len(inside)
    return Neighbourhood(
        precision=_share(in_real_ball),
        recall=_share(in_generated_ball),
        density=pairs_inside / (DENSITY_K * len(generated)),
        coverage=_share(covered),
    )


def near_duplicates(generated_radii: Tensor, real_radii: Tensor) -> float:
    """Share of generated images with a twin: another one so near as only 1 % of real images have.

    Args:
        generated_radii: distances to the nearest others ``(N, k)``, ascending.
        real_radii: the same for as many real images.

    Raises:
        TooFewImages: below 2 images.

    Example:
        >>> real, collapsed = torch.arange(1.0, 101.0)[:, None], torch.zeros(100, 1)
        >>> near_duplicates(collapsed, real), near_duplicates(real, real)
        (1.0, 0.01)
    """
    require(min(len(generated_radii), len(real_radii)), 2, "a comparison of near-duplicates")
    return _share(generated_radii[:, 0] <= real_radii[:, 0].quantile(TWINS))


def _share(hits: Tensor) -> float:
    return hits.double().mean().item()


def _neighbourhood(sides: Sides) -> dict[str, float]:
    generated, real = sides.generated, sides.real
    require(min(len(generated), len(real)), DENSITY_K + 1, "neighbourhoods")
    return asdict(neighbourhood(generated.features.values, real.features.values, generated.radii, real.radii))


def _duplicates(sides: Sides) -> dict[str, float]:
    return {"duplicates": near_duplicates(sides.generated.radii, sides.real.radii)}


METRICS = (
    *(
        Metric(name, _neighbourhood, "higher", "fast", enough=1000)
        for name in ("precision", "recall", "density", "coverage")
    ),
    Metric("duplicates", _duplicates, "lower", "standard", enough=200),
)
