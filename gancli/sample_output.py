"""Where samples go: one grid, one array, or a folder of single pictures. Nothing that exists is replaced unasked."""

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from gancli import cores, pictures
from gancli.errors import UsageError
from gancli.files import write_atomically


@dataclass(frozen=True)
class Target:
    """A path and what it will hold."""

    path: Path
    kind: Literal["grid", "array", "folder"]


def target(out: Path | None, overwrite: bool) -> Target:
    """What ``--out`` means: ``.png`` a grid, ``.npy`` an array, else a folder; None the next free samples-0001.png.

    UsageError if something is there already, unless ``overwrite``.
    """
    if out is None:
        return Target(_next_free(Path()), "grid")
    kind: Literal["grid", "array", "folder"] = "folder"
    if out.suffix.lower() in (".png", ".npy"):
        kind = "grid" if out.suffix.lower() == ".png" else "array"
        taken = out.exists()
    elif out.suffix and not out.is_dir():
        raise UsageError(f"--out {out}: cannot write {out.suffix}; use .png, .npy or a folder.")
    else:
        taken = out.is_file() or (out.is_dir() and any(out.iterdir()))
    if taken and (not overwrite or (kind == "folder") != out.is_dir()):
        raise UsageError(f"--out {out} exists already; choose another, or add --overwrite.")
    return Target(out, kind)


def write(target: Target, batches: Iterable[Tensor], numbers: Sequence[int]) -> None:
    """Write uint8 batches ``(n, C, H, W)``, which carry these numbers, to the target.

    Points, float32 ``(n, 2, 1, 1)``, become a scatter plot or an array ``(n, 2)``; UsageError for a folder.
    """
    if target.kind == "folder":
        _write_folder(target.path, batches, numbers)
        return
    images = torch.cat(list(batches))
    if target.kind == "array":
        array = images.permute(0, 2, 3, 1).contiguous().numpy() if _is_pictures(images) else images.flatten(1).numpy()
        write_atomically(target.path, lambda file: np.save(file, array))
    else:
        alone = len(images) == 1 and _is_pictures(images)
        write_picture(target, images[0] if alone else pictures.sheet(images))


def write_picture(target: Target, picture: Tensor) -> None:
    """Write one picture, uint8 ``(C, H, W)``, to a target that is a grid."""
    pictures.save_png(picture, target.path)


def _is_pictures(drawn: Tensor) -> bool:
    return drawn.dtype == torch.uint8


def _write_folder(folder: Path, batches: Iterable[Tensor], numbers: Sequence[int]) -> None:
    """One batch is encoded, by as many threads as there are cores, while the next one is generated."""
    left = iter(numbers)
    with ThreadPoolExecutor(cores.available()) as encoders:
        encoding: Iterable[bytes] = ()
        for batch in batches:
            if not _is_pictures(batch):
                raise UsageError(f"--out {folder}: points go into one .npy or .png, not into a folder of pictures.")
            before, encoding = encoding, encoders.map(pictures.as_png, batch)
            _write_pngs(folder, before, left)
        _write_pngs(folder, encoding, left)


def _write_pngs(folder: Path, contents: Iterable[bytes], numbers: Iterator[int]) -> None:
    for content in contents:
        path = folder / f"{next(numbers):06}.png"
        write_atomically(path, lambda file, content=content: file.write(content), durable=False)  # type: ignore[misc]


def _next_free(folder: Path) -> Path:
    taken = [int(m[1]) for m in (re.fullmatch(r"samples-(\d{4,})\.png", path.name) for path in folder.iterdir()) if m]
    return folder / f"samples-{max(taken, default=0) + 1:04}.png"
