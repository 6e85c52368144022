"""From the bytes of a picture file to pixels of one shape."""

import io
import threading
import warnings
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image

from gancli.config.pictures import PictureOptions
from gancli.data.pictures import libtiff
from gancli.data.pictures.formats import FORMATS
from gancli.data.pictures.shaping import BACKGROUNDS, shaped

VERSION = 2
"""Changes when the same file gives other pixels."""
MOST_PIXELS = 89_000_000
"""Pixels beyond which a picture is taken for a decompression bomb, as Pillow warns of."""
LARGE_PIXELS = 16_000_000
"""Pictures of more pixels than this are decoded one at a time, so that few hundred MiB are enough."""
SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N")
WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
"""What undoes each value of the EXIF orientation."""
SIDEWAYS = (5, 6, 7, 8)
_one_large = threading.Lock()
libtiff.silence()
warnings.filterwarnings("ignore", module=r"PIL\.")  # what matters of it is in a picture's reason


class BadPicture(ValueError):
    """Why a file is of no use; its text is for the person at the shell."""


class TooSmall(BadPicture):
    """A sound picture that is smaller than asked for, where those are to be left out."""


@dataclass(frozen=True)
class Picture:
    """A decoded picture and what it was like in its file."""

    pixels: np.ndarray
    """uint8 ``(C, H, W)``."""
    is_grey: bool
    """Whether its channels of colour are equal."""
    format: str
    mode: str
    """As Pillow names it: ``RGB``, ``L``, ``P``, ``I;16``, ``CMYK``, ..."""
    size: tuple[int, int]
    """Height and width in the file, turned as EXIF says."""
    has_alpha: bool
    """Whether a pixel is transparent."""


def header_size(file: BinaryIO) -> tuple[int, int]:
    """Height and width that the header claims, turned as EXIF says; BadPicture if it is no picture.

    No more of the file is read than its header, so that an EXIF block behind a PNG's pixels is not seen.
    """
    with _opened(file) as image:
        is_behind = image.format == "PNG" and "exif" not in image.info
        return _turned_size(image, 1 if is_behind else _orientation(image))


def decode(content: bytes, height: int, width: int, options: PictureOptions) -> Picture:
    """Decode and fit one picture. Raises BadPicture with the reason, for whatever is wrong with it."""
    if not content:
        raise BadPicture("is empty")
    with _opened(io.BytesIO(content)) as opened:
        try:
            if opened.width * opened.height <= LARGE_PIXELS:
                return _decode(opened, height, width, options)
            with _one_large:
                return _decode(opened, height, width, options)
        except BadPicture:
            raise
        except MemoryError as error:
            raise BadPicture("needs more memory than there is") from error
        except Exception as error:  # Pillow's plugins raise nearly everything
            raise BadPicture(f"cannot be decoded: {_reason(error)}") from error


def _decode(opened: Image.Image, height: int, width: int, options: PictureOptions) -> Picture:
    name, mode, turn = opened.format or "?", opened.mode, _orientation(opened)
    size = _turned_size(opened, turn)
    if options.small_images == "skip" and (size[0] < height or size[1] < width):
        raise TooSmall(f"{size[1]}x{size[0]} is smaller than {width}x{height}")
    extent = _drafted(opened, 2 * max(height, width)) if name in ("JPEG", "MPO") else opened.size
    image = _plain(opened)
    has_alpha = image.mode == "RGBA" and image.getchannel("A").getextrema() != (255, 255)
    image = shaped(image, extent, (height, width) if turn in SIDEWAYS else (width, height), options)
    image = _coloured(image, options)
    if turn in TURNS:
        image = image.transpose(TURNS[turn])
    pixels = np.array(np.atleast_3d(np.asarray(image)).transpose(2, 0, 1), order="C")
    is_grey = len(pixels) == 1 or bool((pixels[0] == pixels[1]).all() and (pixels[1] == pixels[2]).all())
    return Picture(pixels, is_grey, name, mode, size, has_alpha)


def _opened(file: BinaryIO) -> Image.Image:
    try:
        image = Image.open(file, formats=FORMATS)
    except Exception as error:
        raise BadPicture(_reason(error)) from error
    if image.width * image.height > MOST_PIXELS:
        raise BadPicture(f"{image.width}x{image.height} pixels are more than {MOST_PIXELS:,}")
    return image


def _drafted(image: Image.Image, side: int) -> tuple[float, float]:
    """Let a JPEG be decoded at a lower resolution where that leaves ``side`` pixels a side.

    Returns the width and height that hold the picture, of which the last pixels can be a part.
    """
    drafted = image.draft(None, (side, side)) if min(image.size) > side else None
    return drafted[1][2:] if drafted else image.size


def _orientation(image: Image.Image) -> int:
    """What EXIF says of the pixels that Pillow gives, which it turns by itself in a TIFF."""
    if image.format == "TIFF" or (image.format == "JPEG" and not image.info.keys() & {"exif", "xmp"}):
        return 1
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # a damaged EXIF block is no reason to refuse the picture
        return 1


def _turned_size(image: Image.Image, orientation: int) -> tuple[int, int]:
    return (image.width, image.height) if orientation in SIDEWAYS else (image.height, image.width)


def _reason(error: Exception) -> str:
    said = " ".join(str(error).split()).rstrip(".")
    if "cannot identify" in said:
        return "is not a picture"
    if isinstance(error, Image.DecompressionBombError):
        return f"has more than {MOST_PIXELS:,} pixels"
    if any(word in said for word in ("decoder error", "decoder object", "broken data stream")):
        return "its data are damaged"
    return said or type(error).__name__


def _plain(image: Image.Image) -> Image.Image:
    """The picture as L, RGB or RGBA."""
    if image.mode in ("F", "I", *SIXTEEN_BIT):
        return Image.fromarray(_eight_bit(np.asarray(image), image.mode in SIXTEEN_BIT))
    image.load()
    if image.mode in WITH_ALPHA or "transparency" in image.info:
        return image.convert("RGBA")
    return image if image.mode in ("L", "RGB") else image.convert("L" if image.mode == "1" else "RGB")


def _eight_bit(values: np.ndarray, is_sixteen_bit: bool) -> np.ndarray:
    """Scaled to 0..255, where Pillow clips. Floats and long integers have no range of their own: 1, 255, 65535 or
    their largest value, whichever is the first that holds them."""
    values = values.astype(np.float32)
    finite = np.isfinite(values)
    largest = float(values[finite].max()) if finite.any() else 0.0
    tops = (65535.0,) if is_sixteen_bit else (1.0, 255.0, 65535.0, largest)
    top = next((top for top in tops if top >= largest), largest)
    values = np.nan_to_num(values, posinf=top, neginf=0.0) * (255.0 / top)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _coloured(image: Image.Image, options: PictureOptions) -> Image.Image:
    if options.color == "rgba":
        return image if image.mode == "RGBA" else image.convert("RGBA")
    if image.mode == "RGBA":
        ground = Image.new("RGBA", image.size, (*BACKGROUNDS[options.alpha], 255))
        image = Image.alpha_composite(ground, image)
    wanted = "L" if options.color == "grey" else "RGB"
    return image if image.mode == wanted else image.convert(wanted)
