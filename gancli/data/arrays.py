"""Load pictures from a NumPy file, with their labels if it has some, as ``gancli sample`` writes them."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gancli.config.pictures import PictureOptions
from gancli.data.conditions import conditions_of
from gancli.data.dataset import DataSet, split_by_content
from gancli.data.pictures.label_file import MAX_VALUE, condition_names, is_one_hot, unnamed
from gancli.data.pictures.labels import Labels, numbered, used
from gancli.data.pictures.shaping import shaped
from gancli.errors import DataError, FileFormatError, UsageError, counted

log = logging.getLogger(__name__)
SUFFIXES = (".npz", ".npy")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
CHANNELS = {"grey": 1, "rgb": 3, "rgba": 4}
LABELS, CLASSES, CONDITIONS = "labels", "classes", "conditions"
"""Arrays of an ``.npz``: the class of each picture, as a name or a number, or its row of conditions; the class names by
number; and the names of the conditions."""
SHARES = tuple(percent / 100 for percent in range(5, 100, 5))
"""Held-out shares to try if the wanted one leaves a split empty."""


def is_array(path: str) -> bool:
    """True if the path has the suffix of a NumPy file."""
    return path.endswith(SUFFIXES)


def arrays_in(path: Path) -> Mapping[str, np.ndarray]:
    """Read all arrays of a file, by name; never executes code from it.

    Raises FileFormatError if the file is missing, is damaged or holds pickled objects.
    """
    try:
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return {"arr_0": content}
        with content as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # NumPy and zipfile raise errors of many types
        reason = "it holds pickled objects" if "pickle" in str(error) else getattr(error, "strerror", None) or error
        raise FileFormatError(f"cannot read {path}: {reason}.") from error


def main_array(arrays: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """The array of pictures: ``arr_0``, or the only array; None if there is neither."""
    return arrays.get("arr_0") if "arr_0" in arrays or len(arrays) != 1 else next(iter(arrays.values()))


def pixels(array: np.ndarray | None) -> Tensor | None:
    """Convert pictures, uint8 ``(N, H, W)`` or ``(N, H, W, C)``, to a tensor ``(N, C, H, W)``.

    Returns None for an empty array, another type or shape, or if C is not 1, 3 or 4.
    """
    if array is None or not array.size or array.dtype != np.uint8:
        return None
    array = array[..., None] if array.ndim == 3 else array
    if array.ndim != 4 or array.shape[3] not in MODES:
        return None
    return torch.from_numpy(array).permute(0, 3, 1, 2).contiguous()


def described(arrays: Mapping[str, np.ndarray]) -> str:
    """The names, types and shapes of arrays, for a message."""
    return ", ".join(f"{key} {each.dtype} {each.shape}" for key, each in arrays.items()) or "no array"


def read(path: Path) -> tuple[Mapping[str, np.ndarray], Tensor]:
    """All arrays of a file, and its pictures, uint8 ``(N, C, H, W)``; FileFormatError for a file without pictures."""
    path = Path(os.path.expanduser(path))  # noqa: PTH111  leaves ~ alone where there is no home
    arrays = arrays_in(path)
    images = pixels(main_array(arrays))
    if images is None:
        raise FileFormatError(f"{path} holds {described(arrays)}; wanted are uint8 pictures (N, H, W, C).")
    return arrays, images


def load(path: Path, size: tuple[int, int] | None, options: PictureOptions) -> DataSet:
    """Load the pictures of a NumPy file as a data set: resized, labelled, and split by content.

    ``size`` is (height, width); None keeps the size in the file. Raises FileFormatError for a file without pictures.
    Raises DataError if labels do not fit the pictures or if they cannot be split, UsageError for ``--labels folder``.
    """
    return dataset_of(path, *read(path), size, options)


def dataset_of(
    path: Path, arrays: Mapping[str, np.ndarray], images: Tensor, size: tuple[int, int] | None, options: PictureOptions
) -> DataSet:
    """The data set of a file that is `read` already; see `load`."""
    heldout, share = _split(path, images, options.holdout)
    labels = Labels() if options.labels == "none" else _labels(path, arrays, len(images), options)
    rows = {True: heldout.nonzero().flatten().tolist(), False: (~heldout).nonzero().flatten().tolist()}
    labels = used(labels, rows[False], rows[True])
    channels = CHANNELS.get(options.color, min(images.shape[1], 3))
    images = at_shape(images, (channels, *(size or images.shape[2:])), options)
    train, held = (labels.split(images[mask], rows[part]) for mask, part in ((~heldout, False), (heldout, True)))
    log.info(
        "%s: %s to train on, %d held out by content%s",
        path, counted(len(train), "picture"), len(held), f"; classes: {len(labels.classes)}" if labels.classes else "",
    )  # fmt: skip
    plain = replace(options, holdout=share).as_dict()
    known = conditions_of(labels.conditions, train.conditions)
    return DataSet(str(path.absolute()), train, held, labels.classes, options=plain, conditions=known)


def _split(path: Path, images: Tensor, wanted: float) -> tuple[Tensor, float]:
    """A mask of held-out pictures, bool ``(N,)``, and its share: ``wanted``, unless that leaves a split empty."""
    for share in (wanted, *SHARES):
        heldout = split_by_content(images, share)
        if heldout.any() and not heldout.all():
            return heldout, share
    raise DataError(f"{path}: {counted(len(images), 'picture')} cannot be split by content; add some.")


def _labels(path: Path, arrays: Mapping[str, np.ndarray], count: int, options: PictureOptions) -> Labels:
    given = arrays.get(LABELS)
    if options.labels == "folder":
        raise UsageError(f"--labels folder: {path} is an array, which has no folders; its labels are read without.")
    if given is None:
        return Labels()
    names = arrays.get(CONDITIONS)
    if names is not None and given.ndim == 1:
        given = given[:, None]
    if given.ndim == 2 and len(given) == count and given.shape[1] and given.dtype.kind in "fiub":
        numbers = _class_numbers(given) if names is None else None
        if numbers is None:
            return _conditions(path, given, names)
        given = numbers
    if given.shape != (count,) or given.dtype.kind not in "iuU":
        raise DataError(
            f"{path}: its labels are {given.dtype} {given.shape}; wanted is a number, a name or a row of numbers for "
            f"each of {count:,} pictures, or use --labels none."
        )
    return numbered(_names(path, given, arrays.get(CLASSES)))


def _class_numbers(rows: np.ndarray) -> np.ndarray | None:
    """The classes of rows that hold a whole number each, or are one-hot; None if they are conditions."""
    if rows.shape[1] == 1:
        return rows[:, 0] if rows.dtype.kind in "iu" else None
    return rows.argmax(1) if all(map(is_one_hot, rows.tolist())) else None


def _conditions(path: Path, given: np.ndarray, names: np.ndarray | None) -> Labels:
    called = unnamed(given.shape[1]) if names is None else [str(name) for name in names.flat]
    rows = given.astype(np.float64)
    if len(called) != rows.shape[1] or not (np.abs(rows) <= MAX_VALUE).all():
        raise DataError(f"{path}: its labels need a finite number for each of the conditions, or use --labels none.")
    try:
        return Labels(rows=tuple(map(tuple, rows.tolist())), conditions=condition_names(called))
    except ValueError as error:
        raise DataError(f"{path}: {error}; or use --labels none.") from error


def _names(path: Path, given: np.ndarray, classes: np.ndarray | None) -> Sequence[str]:
    if given.dtype.kind == "U" or classes is None:
        return [str(each) for each in given]
    if classes.dtype.kind != "U" or classes.ndim != 1 or given.min() < 0 or given.max() >= len(classes):
        raise DataError(f"{path}: its classes are no name for each of its labels; correct them, or use --labels none.")
    return [str(classes[each]) for each in given]


def at_shape(images: Tensor, shape: tuple[int, ...], options: PictureOptions | None = None) -> Tensor:
    """Convert pictures, uint8 ``(N, C, H, W)``, to ``shape`` ``(C, H, W)``, in the same way as those of a folder.

    ``options`` choose between cropping (the default), padding and stretching. Resizing is antialiased.
    """
    if tuple(images.shape[1:]) == shape:
        return images
    channels, height, width = shape
    options = options or PictureOptions()
    parts = []
    for image in images:
        picture = Image.fromarray(image.permute(1, 2, 0).squeeze(2).numpy())
        picture = _converted(shaped(picture, picture.size, (width, height), options), MODES[channels])
        parts.append(torch.from_numpy(np.atleast_3d(np.array(picture))).permute(2, 0, 1))
    return torch.stack(parts)


def _converted(picture: Image.Image, mode: str) -> Image.Image:
    """Convert to ``mode``, on a white background unless that mode has transparency."""
    if picture.mode == "RGBA" and mode != "RGBA":
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, (255, 255, 255, 255)), picture)
    return picture.convert(mode)
