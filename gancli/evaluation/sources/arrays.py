"""NumPy files as a side of an evaluation: features, pytorch-fid's mu and sigma, or pictures."""

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gancli.data.arrays import arrays_in, described, main_array, pixels
from gancli.errors import FileFormatError
from gancli.evaluation import Features, load_features
from gancli.evaluation.metrics.frechet import Moments

Array = Features | Moments | Tensor


def read_array(name: str) -> Array:
    """Read the NumPy file of this name as a side of an evaluation, executing nothing.

    Returns:
        Features for a file of ``gancli eval --save-features`` or one matrix of floats ``(N, d)``; moments for
        pytorch-fid's ``mu`` ``(d,)`` and ``sigma`` ``(d, d)``; for pictures, uint8 ``(N, H, W)`` or ``(N, H, W, C)``,
        a tensor ``(N, C, H, W)``.

    Raises:
        FileFormatError: for a file that is missing, damaged or of anything else.
    """
    path = Path(os.path.expanduser(name))  # noqa: PTH111  leaves the home of nobody as it is
    arrays = arrays_in(path)
    if "about" in arrays:
        return load_features(path)
    if {"mu", "sigma"} <= arrays.keys():
        return _moments(path, arrays["mu"], arrays["sigma"])
    array = main_array(arrays)
    read = None if array is None or not array.size else pixels(array) if array.ndim > 2 else _features(array)
    if read is not None:
        return read
    raise FileFormatError(
        f"{path} holds {described(arrays)}; wanted are features (N, d), mu and sigma, or uint8 pictures (N, H, W, C)."
    )


def _features(array: np.ndarray) -> Features | None:
    if array.ndim != 2 or array.dtype.kind != "f" or not np.isfinite(array).all():
        return None
    return Features(torch.from_numpy(array).double(), None, "given", "given")


def _moments(path: Path, mu: np.ndarray, sigma: np.ndarray) -> Moments:
    mean, covariance = (torch.from_numpy(each.astype(np.float64)) for each in (mu, sigma))
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
        raise FileFormatError(f"{path}: mu {mu.shape} and sigma {sigma.shape} do not fit; wanted are (d,) and (d, d).")
    if not (mean.isfinite().all() and covariance.isfinite().all()):
        raise FileFormatError(f"{path}: mu or sigma has values that are not finite.")
    return Moments(mean, covariance)
