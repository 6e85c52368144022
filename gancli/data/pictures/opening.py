"""Open a picture file and read its header."""

import io
import threading
import warnings
from typing import BinaryIO

from PIL import Image, TiffImagePlugin

from gancli.data.pictures import libtiff
from gancli.data.pictures.formats import FORMATS, named_inside
from gancli.data.pictures.png import SIGNATURE, without_large_metadata

HEAD = 16
"""Bytes that identify a format."""
ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
"""The transposition that undoes each value of the EXIF orientation."""
SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that exchange height and width."""
_no_limit = threading.Lock()
libtiff.silence()
_BIG_ENDIAN_WHITE_IS_ZERO = (b"MM", 0, (1,), 1, (16,), ())
TiffImagePlugin.OPEN_INFO.setdefault(_BIG_ENDIAN_WHITE_IS_ZERO, ("I;16B", "I;16B"))  # Pillow has the little-endian one
warnings.filterwarnings("ignore", module=r"PIL\.")  # BadPicture gives the reason


class BadPicture(ValueError):
    """The file cannot be used; the message says why."""


def header_size(file: BinaryIO) -> tuple[int, int]:
    """Height and width according to the header, after EXIF rotation; BadPicture if it is not a picture.

    Reads only the header, so it misses an EXIF block that follows a PNG's pixels.
    """
    with opened(file) as image:
        is_behind = image.format == "PNG" and "exif" not in image.info
        return turned_size(image, 1 if is_behind else orientation(image))


def opened(file: BinaryIO) -> Image.Image:
    """Open a picture without decoding it; BadPicture with the reason if that fails."""
    try:
        return Image.open(file, formats=FORMATS)
    except Image.DecompressionBombError:  # Pillow's limit; ours is --max-pixels
        return _opened_without_limit(file)
    except Exception as error:
        file.seek(0)
        content = file.read(HEAD)
        content += file.read() if content.startswith(SIGNATURE) else b""
        plain = without_large_metadata(content)
        if len(plain) < len(content):  # a file from header_size still has large metadata
            return opened(io.BytesIO(plain))
        inside = named_inside(content)
        raise BadPicture(f"is {inside}" if inside else reason(error)) from error


def _opened_without_limit(file: BinaryIO) -> Image.Image:
    file.seek(0)
    with _no_limit:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(file, formats=FORMATS)
        except Exception as error:
            raise BadPicture(reason(error)) from error
        finally:
            Image.MAX_IMAGE_PIXELS = before


def orientation(image: Image.Image) -> int:
    """The EXIF orientation still to be applied, 1 if none; Pillow applies that of a TIFF itself."""
    if image.format == "TIFF" or (image.format == "JPEG" and not image.info.keys() & {"exif", "xmp"}):
        return 1
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # a damaged EXIF block is no reason to refuse the picture
        return 1


def turned_size(image: Image.Image, turn: int) -> tuple[int, int]:
    """Height and width after the rotation of an EXIF orientation."""
    return (image.width, image.height) if turn in SIDEWAYS else (image.height, image.width)


def reason(error: Exception) -> str:
    """The reason why a picture cannot be read, given Pillow's error."""
    message = " ".join(str(error).split()).rstrip(".")
    if "cannot identify" in message:
        return "is not a picture"
    if any(word in message for word in ("decoder error", "decoder object", "broken data stream")):
        return "its data are damaged"
    return message or type(error).__name__
