"""Data sets by name. Adding one takes an entry in ``SOURCES``."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from gancli.data import digits, mixtures, torchvision_sets
from gancli.data.dataset import DataSet, Split
from gancli.errors import UsageError, nearest

__all__ = ["SOURCES", "DataSet", "Split", "default_root", "load"]

SOURCES: dict[str, Callable[[Path], DataSet]] = {
    "digits": digits.load,
    "mnist": partial(torchvision_sets.load, "MNIST", "mnist"),
    "fashion-mnist": partial(torchvision_sets.load, "FashionMNIST", "fashion-mnist"),
    "cifar10": partial(torchvision_sets.load, "CIFAR10", "cifar10"),
    "ring": mixtures.ring,
    "grid": mixtures.grid,
}


def default_root() -> Path:
    """``GANCLI_DATA_ROOT`` if it is set, else a folder in the user's cache."""
    import platformdirs

    return Path(os.environ.get("GANCLI_DATA_ROOT") or platformdirs.user_cache_path("gancli") / "data")


def load(name: str, root: Path | None = None, size: tuple[int, int] | None = None) -> DataSet:
    """The data set of that name, resized to ``size`` (height, width) if given.

    Raises UsageError for an unknown name and DataError if the files are not there and cannot be had.
    """
    if name not in SOURCES:
        raise UsageError(f"there is no data set {name!r}; {nearest(name, SOURCES)}")
    dataset = SOURCES[name](root or default_root())
    return dataset.resized(*size) if size else dataset
