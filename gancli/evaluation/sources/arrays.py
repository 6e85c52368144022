"""NumPy files as a side of an evaluation: features, pytorch-fid's mu and sigma, or pictures."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gancli.data import DataSet, PictureOptions, Split
from gancli.data.dataset import split_by_content
from gancli.data.pictures.shaping import shaped
from gancli.errors import FileFormatError, UsageError
from gancli.evaluation import Features, load_features
from gancli.evaluation.metrics.frechet import Moments

SUFFIXES = (".npz", ".npy")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
Array = Features | Moments | Tensor


def is_array(path: str) -> bool:
    """Whether a NumPy file is meant, in place of pictures."""
    return path.endswith(SUFFIXES)


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
    try:
        arrays = _arrays(path)
    except Exception as error:  # NumPy and zipfile raise nearly everything
        reason = "it holds pickled objects" if "pickle" in str(error) else getattr(error, "strerror", None) or error
        raise FileFormatError(f"cannot read {path}: {reason}.") from error
    if "about" in arrays:
        return load_features(path)
    if {"mu", "sigma"} <= arrays.keys():
        return _moments(path, arrays["mu"], arrays["sigma"])
    array = arrays.get("arr_0") if "arr_0" in arrays or len(arrays) != 1 else next(iter(arrays.values()))
    read = None if array is None or not array.size else _pixels(array) if array.ndim > 2 else _features(array)
    if read is not None:
        return read
    held = ", ".join(f"{key} {each.dtype} {each.shape}" for key, each in arrays.items())
    raise FileFormatError(
        f"{path} holds {held or 'no array'}; wanted are features (N, d), mu and sigma, or uint8 pictures (N, H, W, C)."
    )


def _pixels(array: np.ndarray) -> Tensor | None:
    array = array[..., None] if array.ndim == 3 else array
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[3] not in MODES:
        return None
    return torch.from_numpy(array).permute(0, 3, 1, 2).contiguous()


def _features(array: np.ndarray) -> Features | None:
    if array.ndim != 2 or array.dtype.kind != "f" or not np.isfinite(array).all():
        return None
    return Features(torch.from_numpy(array).double(), None, "given", "given")


def _arrays(path: Path) -> Mapping[str, np.ndarray]:
    content = np.load(path, allow_pickle=False)
    if isinstance(content, np.ndarray):
        return {"arr_0": content}
    with content as archive:
        return {name: archive[name] for name in archive.files}


def _moments(path: Path, mu: np.ndarray, sigma: np.ndarray) -> Moments:
    mean, covariance = (torch.from_numpy(each.astype(np.float64)) for each in (mu, sigma))
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
        raise FileFormatError(f"{path}: mu {mu.shape} and sigma {sigma.shape} do not fit; wanted are (d,) and (d, d).")
    if not (mean.isfinite().all() and covariance.isfinite().all()):
        raise FileFormatError(f"{path}: mu or sigma has values that are not finite.")
    return Moments(mean, covariance)


def dataset_of(name: str, images: Tensor, share: float) -> DataSet:
    """Pictures ``(N, C, H, W)`` as a data set without labels, of which ``share`` is held out by content."""
    heldout = split_by_content(images, share)
    if heldout.all() or not heldout.any():
        raise UsageError(f"{name}: {len(images)} pictures cannot be split into two halves by their content; add some.")
    return DataSet(name, Split(images[~heldout]), Split(images[heldout]))


def at_shape(images: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Pictures ``(N, C, H, W)`` at another ``shape`` ``(C, H, W)``, as those of a folder are: cropped, antialiased."""
    if tuple(images.shape[1:]) == shape:
        return images
    channels, height, width = shape
    options = PictureOptions()
    parts = []
    for image in images:
        picture = Image.fromarray(image.permute(1, 2, 0).squeeze(2).numpy())
        picture = _converted(shaped(picture, picture.size, (width, height), options), MODES[channels])
        pixels = np.atleast_3d(np.array(picture))
        parts.append(torch.from_numpy(pixels).permute(2, 0, 1))
    return torch.stack(parts)


def _converted(picture: Image.Image, mode: str) -> Image.Image:
    """Transparent pixels on white, unless the wanted mode has transparency."""
    if picture.mode == "RGBA" and mode != "RGBA":
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, (255, 255, 255, 255)), picture)
    return picture.convert(mode)
