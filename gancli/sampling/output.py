"""Write samples to a grid, an array, a film or a folder, without replacing anything by accident."""

import io
import itertools
import logging
import os
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Literal

import numpy as np
import torch
from torch import Tensor

from gancli.errors import UsageError, nearest
from gancli.files.atomic import write_atomically
from gancli.machine import cores
from gancli.sampling import film, rendering
from gancli.sampling.labels import Labelled, write_labels
from gancli.sampling.mark import Mark
from gancli.sampling.stamping import PLAIN, Stamp

log = logging.getLogger(__name__)
Kind = Literal["grid", "array", "film", "folder"]
KINDS: dict[str, Kind] = {
    ".png": "grid", ".jpg": "grid", ".webp": "grid", ".npy": "array", ".npz": "array",
    ".gif": "film", ".apng": "film", ".mp4": "film",
}  # fmt: skip


@dataclass(frozen=True)
class Target:
    """A path and the kind of its content."""

    path: Path
    kind: Kind
    form: str
    """Format of picture files, one of `rendering.FORMATS`; of films, the suffix."""


def target(place: str | Path | None, overwrite: bool, form: str | None = None, is_walk: bool = False) -> Target:
    """The target of ``--out``, by its suffix; a folder without suffix or with a slash at its end.

    None means the next free samples-0001.png. A ``.webp`` is a film of a walk between images, else a grid.

    Raises:
        UsageError: the path exists (unless ``overwrite``) or cannot be written, or a library is missing.
    """
    if form is not None and form not in rendering.FORMATS:
        raise UsageError(f"--format {form!r}: {nearest(form, rendering.FORMATS)}")
    out = Path(place) if place is not None else _next_free(Path())
    overwrite = overwrite and place is not None
    is_folder = out.is_dir() or str(place).endswith(("/", os.sep))
    suffix = out.suffix.lower().replace(".jpeg", ".jpg")
    kind = "folder" if is_folder else KINDS.get(suffix, "folder")
    if kind == "folder" and suffix and not is_folder:
        kinds = ", ".join(KINDS)
        raise UsageError(f"--out {out}: cannot write {suffix}; use {kinds}, or a folder with a slash at its end.")
    if is_walk and suffix == ".webp" and kind == "grid":
        kind = "film"
    if form is not None and kind != "folder":
        raise UsageError(f"--format is for a folder of pictures; the name {out} says what it is.")
    if kind == "folder" and out.is_file():
        raise UsageError(f"--out {out} is a file; a folder, or a name with one of {', '.join(KINDS)}, is needed.")
    _require_place(out, overwrite)
    if kind == "film":
        film.require(suffix[1:])
    return Target(out, kind, form or (suffix[1:] if kind in ("grid", "film") else "png"))


def _require_place(out: Path, overwrite: bool) -> None:
    place = next(path for path in (out, *out.absolute().parents) if path.exists())
    if place != out and not place.is_dir():
        raise UsageError(f"--out {out}: {place} is a file, not a folder.")
    if not os.access(place if place.is_dir() else place.parent, os.W_OK):
        raise UsageError(f"--out {out}: nothing may be written to {place}; choose another.")
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        if not overwrite:
            raise UsageError(f"--out {out} exists already; choose another, or add --overwrite.")
        if out.is_dir():
            log.warning("--overwrite: files of other names stay in %s.", out)


def write(
    target: Target,
    batches: Iterable[Tensor],
    numbers: Sequence[int],
    columns: int | None = None,
    stamp: Stamp = PLAIN,
    labelled: Labelled | None = None,
) -> None:
    """Write uint8 batches ``(n, C, H, W)`` of images with these numbers; ``columns`` is for a grid.

    Labels become a folder's ``dataset.json``, as StyleGAN's tools have it, and the arrays ``labels`` and ``classes`` of
    an ``.npz``. Points, float32 ``(n, 2, 1, 1)``, become a scatter plot or an array ``(n, 2)``; UsageError for other
    targets.
    """
    if target.kind == "folder":
        _write_folder(target, batches, numbers, stamp)
        if labelled is not None:
            write_labels(target.path, [picture_name(number, target.form) for number in numbers], labelled)
    elif target.path.suffix.lower() == ".npz":
        save = partial(_write_npz, mark=stamp.mark, labelled=labelled)
        write_atomically(target.path, partial(save, batches=batches, count=len(numbers)))
    elif target.kind == "array":
        write_atomically(target.path, partial(_write_npy, batches=batches, count=len(numbers)))
    else:
        images = torch.cat([*_bounded(target, batches, len(numbers))])
        if target.kind == "film":
            content = film.as_film(images, target.form, stamp)
        else:
            content = content_of(images, target.form, columns, stamp)
        write_atomically(target.path, lambda file: file.write(content))


def content_of(images: Tensor, form: str, columns: int | None = None, stamp: Stamp = PLAIN) -> bytes:
    """The content of one picture file of images ``(N, C, H, W)`` or points.

    A single image is the picture itself, several are a sheet.
    """
    alone = len(images) == 1 and _is_pictures(images)
    return rendering.as_file(images[0] if alone else rendering.sheet(images, columns=columns), form, stamp)


def write_picture(target: Target, picture: Tensor, stamp: Stamp = PLAIN) -> None:
    """Write one picture, uint8 ``(C, H, W)``, to a target of kind "grid"."""
    content = rendering.as_file(picture, target.form, stamp)
    write_atomically(target.path, lambda file: file.write(content))


def _is_pictures(drawn: Tensor) -> bool:
    return drawn.dtype == torch.uint8


def _require_pictures(target: Target, batch: Tensor) -> None:
    if not _is_pictures(batch):
        raise UsageError(f"--out {target.path}: points go into one .npy, .npz or picture, not into a {target.kind}.")


def _bounded(target: Target, batches: Iterable[Tensor], count: int) -> Iterator[Tensor]:
    """The same batches; UsageError if the picture or film of all would not fit into memory."""
    for batch in batches:
        if target.kind == "film":
            _require_pictures(target, batch)
        if _is_pictures(batch) and count * rendering.enlarged(batch[:1]).shape[2:].numel() > rendering.MAX_PIXELS:
            raise UsageError(f"{count:,} images are too many for one {target.path.suffix}; use a folder or .npy.")
        yield batch


def array_content(images: Tensor) -> bytes:
    """The content of an ``.npy`` file of images ``(N, C, H, W)``, as uint8 ``(N, H, W, C)``, or of points."""
    content = io.BytesIO()
    _write_npy(content, [images], len(images))
    return content.getvalue()


def _write_npy(file: IO[bytes], batches: Iterable[Tensor], count: int) -> None:
    """Write an array uint8 ``(count, H, W, C)``, or points ``(count, 2)``, one batch at a time."""
    for number, batch in enumerate(batches):
        array = (batch.permute(0, 2, 3, 1) if _is_pictures(batch) else batch.flatten(1)).contiguous().numpy()
        if number == 0:
            descr = np.lib.format.dtype_to_descr(array.dtype)
            shape = (count, *array.shape[1:])
            np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
        file.write(array.data)


def _write_npz(
    file: IO[bytes], batches: Iterable[Tensor], count: int, mark: Mark | None, labelled: Labelled | None
) -> None:
    """The same array, named ``arr_0`` as `numpy.savez` does, and labels; the mark is the archive's comment."""
    with zipfile.ZipFile(file, "w") as archive:
        with archive.open(_member("arr_0"), "w", force_zip64=True) as opened:
            _write_npy(opened, batches, count)
        for name, array in (labelled.arrays() if labelled else {}).items():
            with archive.open(_member(name), "w") as opened:
                np.lib.format.write_array(opened, array, allow_pickle=False)
        archive.comment = b"" if mark is None else mark.packet()


def _member(name: str) -> zipfile.ZipInfo:
    """An array's place in an archive; of no date, so that equal arrays are equal files."""
    return zipfile.ZipInfo(f"{name}.npy")


def picture_name(number: int, form: str) -> str:
    """The name of a single image's file in a folder."""
    return f"{number:06}.{form}"


def _write_folder(target: Target, batches: Iterable[Tensor], numbers: Sequence[int], stamp: Stamp) -> None:
    """Encode each batch in as many threads as cores, while the next one is generated."""
    left, places = iter(numbers), itertools.count()

    def encode(image: Tensor, place: int) -> bytes:
        return rendering.as_file(image, target.form, stamp.part(place))

    with ThreadPoolExecutor(cores.available()) as encoders:
        encoding: Iterable[bytes] = ()
        for batch in batches:
            _require_pictures(target, batch)
            before, encoding = encoding, encoders.map(encode, batch, itertools.islice(places, len(batch)))
            _write_files(target, before, left)
        _write_files(target, encoding, left)


def _write_files(target: Target, contents: Iterable[bytes], numbers: Iterator[int]) -> None:
    for content in contents:
        path = target.path / picture_name(next(numbers), target.form)
        write_atomically(path, lambda file, content=content: file.write(content), durable=False)  # type: ignore[misc]


def _next_free(folder: Path) -> Path:
    taken = [int(m[1]) for m in (re.fullmatch(r"samples-(\d{4,})\.png", path.name) for path in folder.iterdir()) if m]
    return folder / f"samples-{max(taken, default=0) + 1:04}.png"
