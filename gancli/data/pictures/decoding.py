"""Decode the bytes of a picture file to pixels of one shape."""

import hashlib
import io
import threading
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

from gancli.config.pictures import PictureOptions
from gancli.data.pictures.deep import Deep, Ranges, eight_bit, kind_of
from gancli.data.pictures.opening import SIDEWAYS, TURNS, BadPicture, opened, orientation, reason, turned_size
from gancli.data.pictures.png import without_large_metadata
from gancli.data.pictures.shaping import BACKGROUNDS, shaped

VERSION = 2
"""Increase this when 8-bit files decode to other pixels than before."""
LARGE_PIXELS = 16_000_000
"""Pictures with more pixels are decoded one at a time, which bounds memory to a few hundred MiB."""
WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_one_large = threading.Lock()


class TooSmall(BadPicture):
    """A good picture is smaller than the wanted size, and ``--small-images skip`` leaves it out."""


class Traits(NamedTuple):
    """Properties of a decoded picture."""

    is_grey: bool
    """True if its colour channels are equal."""
    has_alpha: bool
    """True if any pixel is transparent."""
    is_enlarged: bool
    """True if it was smaller than the wanted size."""
    darkest: int
    brightest: int
    """Smallest and largest value of its colour channels, 0 to 255."""
    frames: int = 1
    """Number of frames or pages in its file."""
    deep: Deep | None = None
    """Its original values, if they have more than 8 bits."""


@dataclass(frozen=True)
class Picture:
    """A decoded picture, with its format, mode and size in the file."""

    pixels: np.ndarray
    """uint8 ``(C, H, W)``."""
    traits: Traits
    format: str = ""
    mode: str = ""
    """Pillow's name: ``RGB``, ``L``, ``P``, ``I;16``, ``CMYK``, ..."""
    size: tuple[int, int] = (0, 0)
    """Height and width in the file, after EXIF rotation."""


class PictureFile:
    """A picture file in memory; decodes its frames in any order, fastest in ascending order."""

    def __init__(self, content: bytes) -> None:
        """Open the file; BadPicture with the reason if that fails."""
        if not content:
            raise BadPicture("is empty")
        self._content = without_large_metadata(content)
        self._image = self._frame(0)
        self._place: int | None = None
        """The last decoded frame."""

    def frame_numbers(self) -> list[int]:
        """The numbers of the file's frames or pages, without reduced copies; ``[0]`` for a damaged file.

        An MPO file has one frame here: its other pictures are previews or other views of the first.
        """
        kind = self._image.format
        if kind in ("JPEG", "MPO"):
            return [0]
        try:
            image = self._frame(0) if kind in ("GIF", "TIFF") else self._image  # counting seeks in these two
            frames = range(getattr(image, "n_frames", 1))
            return [n for n in frames if n == 0 or kind != "TIFF" or _is_page(image, n)]
        except Exception:
            return [0]

    def decode(
        self, height: int, width: int, options: PictureOptions, ranges: Ranges | None = None, frame: int = 0
    ) -> Picture:
        """Decode one frame and fit it to ``height`` and ``width``; BadPicture with the reason if that fails.

        ``ranges`` scales values of more than 8 bits.
        """
        ranges = ranges or Ranges()
        try:
            image = self._at(frame)
            if image.width * image.height <= LARGE_PIXELS:
                return self._decoded(image, frame, height, width, options, ranges)
            with _one_large:
                return self._decoded(image, frame, height, width, options, ranges)
        except BadPicture:
            raise
        except MemoryError as error:
            raise BadPicture("needs more memory than there is") from error
        except Exception as error:  # Pillow's plugins raise errors of many types
            raise BadPicture(f"cannot be decoded: {reason(error)}") from error

    def digest(self) -> bytes:
        """An 8-byte hash of the last decoded frame; equal frames have equal hashes, in any file."""
        image = self._image
        return digest_of(f"{image.mode} {image.size}".encode() + image.tobytes())

    def _at(self, frame: int) -> Image.Image:
        if self._place is not None and frame <= self._place:
            self._image = self._frame(0)
        if frame:
            self._image.seek(frame)
        self._place = frame
        return self._image

    def _frame(self, frame: int) -> Image.Image:
        image = opened(io.BytesIO(self._content))
        if frame:
            image.seek(frame)
        return image

    def _decoded(
        self, image: Image.Image, frame: int, height: int, width: int, options: PictureOptions, ranges: Ranges
    ) -> Picture:
        kind = kind_of(image)  # before looking for EXIF, which may load the image
        name, mode, turn = image.format or "?", image.mode, orientation(image)
        size = turned_size(image, turn)
        is_small = size[0] < height or size[1] < width
        if options.small_images == "skip" and is_small:
            raise TooSmall(f"{size[1]}x{size[0]} is smaller than {width}x{height}")
        extent = _drafted(image, 2 * max(height, width)) if name in ("JPEG", "MPO") else image.size
        _require_few_pixels(image, size, options.max_pixels)
        if kind is None:
            plain, deep = _plain(image), None
        else:
            plain, deep = eight_bit(image, kind, ranges, lambda: self._frame(frame))
        has_alpha = plain.mode == "RGBA" and plain.getchannel("A").getextrema() != (255, 255)
        fitted = shaped(plain, extent, (height, width) if turn in SIDEWAYS else (width, height), options)
        fitted = _coloured(fitted, options)
        if turn in TURNS:
            fitted = fitted.transpose(TURNS[turn])
        pixels = np.array(np.atleast_3d(np.asarray(fitted)).transpose(2, 0, 1), order="C")
        colours = pixels[:3]
        is_grey = len(pixels) == 1 or bool((pixels[0] == pixels[1]).all() and (pixels[1] == pixels[2]).all())
        frames = len(self.frame_numbers()) if frame == 0 else 1
        traits = Traits(is_grey, has_alpha, is_small, int(colours.min()), int(colours.max()), frames, deep)
        return Picture(pixels, traits, name, mode, size)


def decode(
    content: bytes, height: int, width: int, options: PictureOptions, ranges: Ranges | None = None, frame: int = 0
) -> Picture:
    """Decode one frame of a file's content; see `PictureFile.decode`."""
    return PictureFile(content).decode(height, width, options, ranges, frame)


def digest_of(content: bytes) -> bytes:
    """An 8-byte hash."""
    return hashlib.blake2b(content, digest_size=8).digest()


def _is_page(image: Image.Image, number: int) -> bool:
    """Return True unless a TIFF page is a reduced copy of another; moves the image to that page."""
    image.seek(number)
    return not int(image.tag_v2.get(254, 0)) & 1  # type: ignore[attr-defined]


def _require_few_pixels(image: Image.Image, size: tuple[int, int], most: int) -> None:
    """Raise BadPicture for too many pixels. A JPEG counts at its reduced size, unless it is progressive."""
    counted = size[0] * size[1] if "progression" in image.info else image.width * image.height
    if counted > most:
        raise BadPicture(f"{size[1]}x{size[0]} pixels are more than {most:,}; --max-pixels sets how many may be")


def _drafted(image: Image.Image, side: int) -> tuple[float, float]:
    """Make a JPEG decode at a lower resolution that has at least ``side`` pixels a side.

    Returns the picture's width and height at that resolution, which need not be whole numbers.
    """
    drafted = image.draft(None, (side, side)) if min(image.size) > side else None
    return drafted[1][2:] if drafted else image.size


def _plain(image: Image.Image) -> Image.Image:
    """Convert a picture to L, RGB or RGBA."""
    image.load()
    if image.mode in WITH_ALPHA or "transparency" in image.info:
        return image.convert("RGBA")
    return image if image.mode in ("L", "RGB") else image.convert("L" if image.mode == "1" else "RGB")


def _coloured(image: Image.Image, options: PictureOptions) -> Image.Image:
    if options.color == "rgba":
        return image if image.mode == "RGBA" else image.convert("RGBA")
    if image.mode == "RGBA":
        background = Image.new("RGBA", image.size, (*BACKGROUNDS[options.alpha], 255))
        image = Image.alpha_composite(background, image)
    wanted = "L" if options.color == "grey" else "RGB"
    return image if image.mode == wanted else image.convert(wanted)
