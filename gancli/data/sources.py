"""Load data sets by name. To add one, add an entry to ``SOURCES``."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from gancli.config.pictures import PictureOptions
from gancli.config.settings import declarations
from gancli.data import arrays, digits, faces, mixtures, stacked_mnist, torchvision_sets
from gancli.data.dataset import DataSet
from gancli.data.pictures import load as picture_files
from gancli.data.pictures.decoded_cache import Progress
from gancli.data.pictures.listing import is_plain
from gancli.errors import UsageError, nearest
from gancli.files.user_cache import user_cache

SOURCES: dict[str, Callable[[Path], DataSet]] = {
    "digits": digits.load,
    "faces": faces.load,
    "mnist": partial(torchvision_sets.load, "MNIST", "mnist"),
    "fashion-mnist": partial(torchvision_sets.load, "FashionMNIST", "fashion-mnist"),
    "kmnist": partial(torchvision_sets.load, "KMNIST", "kmnist"),
    "cifar10": partial(torchvision_sets.load, "CIFAR10", "cifar10"),
    "cifar100": partial(torchvision_sets.load, "CIFAR100", "cifar100"),
    "stacked-mnist": stacked_mnist.load,
    "ring": mixtures.ring,
    "grid": mixtures.grid,
}


def default_root() -> Path:
    """``GANCLI_DATA_ROOT`` if it is set, else a folder in the user's cache."""
    return Path(os.environ.get("GANCLI_DATA_ROOT") or user_cache("data"))


def load(
    name: str,
    root: Path | None = None,
    size: tuple[int, int] | None = None,
    options: PictureOptions | None = None,
    on_progress: Progress = lambda done, total: None,
    cache: bool = True,
) -> DataSet:
    """Load a named data set, or the pictures in a folder, zip file or NumPy file.

    Images are resized to ``size`` (height, width) if that is given.

    ``options`` and ``cache`` (decode once and keep the pixels in the user's cache) are for pictures only. Raises
    UsageError if ``name`` is neither a name nor a path, or if a named set is given options. Raises DataError if files
    are missing, cannot be downloaded or cannot be read.
    """
    if name in SOURCES:
        if options not in (None, PictureOptions()):
            flags = [declared.flag for declared in declarations(PictureOptions).values()]
            raise UsageError(
                f"--data {name} is a data set of its own; {', '.join(flags[:-1])} and {flags[-1]} are for folders and "
                "zip files."
            )
        dataset = SOURCES[name](root or default_root())
        return dataset.resized(*size) if size else dataset
    if arrays.is_array(name):
        return arrays.load(pictures_at(name), size, options or PictureOptions())
    return picture_files.load(pictures_at(name), size, options or PictureOptions(), on_progress, cache)


def pictures_at(name: str) -> Path:
    """The path of the folder or file that ``--data`` names.

    Raises UsageError if nothing is there, or if the name has control or invalid characters.
    """
    if not is_plain(name):  # a configuration file, which is UTF-8, must be able to name it
        raise UsageError(f"--data {name!r} has control or invalid characters; give the folder a plain name.")
    path = os.path.expanduser(name)  # noqa: PTH111  leaves ~ alone where there is no home
    if not os.path.exists(path):  # noqa: PTH110  false for invalid paths, too
        hint = "write where it is now with --data" if os.sep in name else nearest(name, SOURCES)
        raise UsageError(f"there is no data set {name!r} and no such folder or zip file; {hint}")
    return Path(path)
