"""Render images to grids and picture files."""

import io
import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from gancli.errors import UsageError
from gancli.files.atomic import write_atomically
from gancli.sampling import embedding
from gancli.sampling.mark import Mark
from gancli.sampling.stamping import PLAIN, Stamp

GAP = 2
"""Pixels between tiles."""
TILE_PIXELS = 64
"""Tiles with a smaller shorter side are enlarged by a whole factor."""
MAX_PIXELS = 2**28
"""Largest grid or film, which is made in memory."""
FORMATS: dict[str, dict[str, Any]] = {
    "png": {"format": "PNG"},
    "jpg": {"format": "JPEG", "quality": 95},
    "webp": {"format": "WEBP", "lossless": True},
}
"""Formats of picture files, each with Pillow's options."""


def enlarged(images: Tensor) -> Tensor:
    """Repeat pixels of images ``(..., H, W)`` until the shorter side is near `TILE_PIXELS`."""
    factor = max(1, TILE_PIXELS // min(images.shape[-2:]))
    return images.repeat_interleave(factor, -2).repeat_interleave(factor, -1)


def grid(images: Tensor, columns: int | None = None) -> Tensor:
    """uint8 ``(N, C, H, W)`` -> one uint8 ``(C, H', W')``, row by row; nearly square if ``columns`` is None."""
    count, channels = images.shape[:2]
    columns = columns or math.ceil(math.sqrt(count))
    rows, (height, width) = math.ceil(count / columns), enlarged(images[0]).shape[-2:]
    sheet = torch.full((channels, rows * (height + GAP) + GAP, columns * (width + GAP) + GAP), 128, dtype=torch.uint8)
    for number, image in enumerate(images.cpu()):
        top, left = (
            GAP + place * (side + GAP) for place, side in zip(divmod(number, columns), (height, width), strict=True)
        )
        sheet[:, top : top + height, left : left + width] = enlarged(image)
    return sheet


def scatter(points: Tensor, extent: float, pixels: int = 512) -> Tensor:
    """Scatter plot of coordinates ``(N, 2)``, uint8 ``(1, pixels, pixels)``; brighter where there are more points.

    It spans -extent to extent, y upwards; points outside are not shown.
    """
    places = ((points / extent + 1) / 2 * pixels).floor().long()
    x, y = places[((places >= 0) & (places < pixels)).all(1)].unbind(1)
    counts = torch.bincount((pixels - 1 - y) * pixels + x, minlength=pixels * pixels).float()
    brightness = torch.where(counts > 0, 0.4 + 0.6 * counts.log1p() / counts.max().clamp_min(1).log1p(), counts)
    return (255 * brightness).round().to(torch.uint8).view(1, pixels, pixels)


def sheet(drawn: Tensor, extent: float | None = None, columns: int | None = None) -> Tensor:
    """One picture: a `grid` of uint8 images, or a `scatter` plot of float points.

    The plot spans -extent to extent; None: all points.
    """
    if drawn.dtype == torch.uint8:
        return grid(drawn, columns)
    return scatter(drawn.flatten(1), extent or 1.05 * drawn.abs().max().item() or 1.0)


def save_png(image: Tensor, path: Path, durable: bool = True, stamp: Stamp = PLAIN) -> None:
    """Write uint8 ``(C, H, W)`` with 1 (grey), 3 (RGB) or 4 (RGBA) channels as a PNG; see `write_atomically`."""
    content = as_file(image, stamp=stamp)
    write_atomically(path, lambda file: file.write(content), durable)


def as_file(image: Tensor, kind: str = "png", stamp: Stamp = PLAIN) -> bytes:
    """The content of a picture file in one of the `FORMATS`; UsageError if the format cannot hold the picture."""
    return encoded([stamp.labelled(image)], stamp.mark, **FORMATS[kind])


def encoded(pictures: Sequence[Tensor], mark: Mark | None, **options: Any) -> bytes:
    """The content of a file of uint8 pictures ``(C, H, W)`` with the mark, by Pillow with these options.

    UsageError if the format cannot hold the pictures.
    """
    if mark is not None:
        options |= embedding.saving_options(options["format"], mark)
    arrays = (picture.permute(1, 2, 0).cpu().numpy() for picture in pictures)
    first, *others = (Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels) for pixels in arrays)
    content = io.BytesIO()
    try:
        first.save(content, append_images=others, **options)
    except (OSError, ValueError, struct.error) as error:
        what = f"{first.width}x{first.height} pixels, {first.mode}"
        raise UsageError(f"a picture of {what} does not fit into a {options['format']} file ({error}).") from error
    return content.getvalue()
