"""Fit a mixture of Gaussians to the principal components of codes."""

import warnings
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gancli.functional.principal import principal_axes

EVERY = 10
"""Every so many pictures, one is held out to choose the number of components."""
MIN_PICTURES = 20
"""With fewer pictures there is one component."""
MIN_VARIANCE = 1e-3
"""Added to the variances of the components, beside codes of unit variance."""
MAX_ROUNDS = 100
"""Rounds of expectation maximisation."""


class Mixture(NamedTuple):
    """A mixture of K Gaussians in the space of D axes through the mean of the codes, in float64."""

    mean: Tensor
    """``(values,)``."""
    basis: Tensor
    """``(values, D)``, orthonormal."""
    weights: Tensor
    """``(K,)``."""
    means: Tensor
    """``(K, D)``, in the order of their first coordinates, so that neighbours are alike."""
    factors: Tensor
    """Cholesky factors of the covariances ``(K, D, D)``."""


def fitted_mixture(codes: Tensor, axes: int, most: int) -> Mixture:
    """Fit a mixture of at most ``most`` components to codes ``(n, versions, values)``.

    The axes are the first principal components. The number of components is the first power of two whose double makes
    held-out codes less likely. The same codes always give the same mixture.
    """
    codes = codes.double().cpu()
    mean, basis, _ = principal_axes(codes.flatten(0, 1), axes)
    places = (codes - mean) @ basis
    count = _components(places, most) if len(codes) >= MIN_PICTURES else 1
    fitted = _fit(places, count)
    order = fitted.means_[:, 0].argsort(kind="stable")
    weights, means, covariances = (
        torch.from_numpy(each[order]) for each in (fitted.weights_, fitted.means_, fitted.covariances_)
    )
    return Mixture(mean, basis, weights, means, torch.linalg.cholesky(covariances))


def _components(places: Tensor, most: int) -> int:
    held_out = torch.arange(len(places)) % EVERY == 0
    known, unknown = places[~held_out], places[held_out].flatten(0, 1).numpy()
    count, likelihood = 1, _fit(known, 1).score(unknown)
    while 2 * count <= min(most, len(known)):
        doubled = _fit(known, 2 * count).score(unknown)
        if doubled <= likelihood:
            break
        count, likelihood = 2 * count, doubled
    return count


def _fit(places: Tensor, count: int) -> Any:
    """scikit-learn's mixture of so many components for ``(n, versions, D)``."""
    from sklearn.mixture import GaussianMixture  # takes a second to import

    fitted = GaussianMixture(count, reg_covar=MIN_VARIANCE, max_iter=MAX_ROUNDS, random_state=0)
    with warnings.catch_warnings(action="ignore"):  # it need not converge
        return fitted.fit(places.flatten(0, 1).numpy())
