"""From the bytes of a picture file to pixels of one shape."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from gancli.data.options import PictureOptions

MOST_PIXELS = 100_000_000
BACKGROUNDS = {"white": (255, 255, 255), "black": (0, 0, 0), "keep": (0, 0, 0)}
SIXTEEN_BIT = ("I", "I;16", "I;16B", "I;16L", "I;16N")


class BadPicture(ValueError):
    """Why a file is of no use; its text is for the person at the shell."""


@dataclass(frozen=True)
class Picture:
    """A decoded picture and what it was like in its file."""

    pixels: np.ndarray
    """uint8 ``(C, H, W)``."""
    is_grey: bool
    """Whether its channels of colour are equal."""
    format: str
    mode: str
    size: tuple[int, int]
    """Height and width in the file, turned as EXIF says."""
    has_alpha: bool


def header_size(content: bytes) -> tuple[int, int]:
    """Height and width that the header claims; BadPicture if it is no picture."""
    with _opened(content) as image:
        return _turned_size(image)


def decode(content: bytes, height: int, width: int, options: PictureOptions) -> Picture:
    """Decode and fit one picture. Raises BadPicture with the reason, for whatever is wrong with it."""
    with _opened(content) as opened:
        try:
            name, mode, true_size = opened.format or "?", opened.mode, _turned_size(opened)
            if options.fit != "stretch" and name == "JPEG":
                opened.draft(None, (2 * width, 2 * height))  # decodes at a lower resolution where that is enough
            image = ImageOps.exif_transpose(opened)
            image = _eight_bit(image)
        except BadPicture:
            raise
        except Exception as error:
            raise BadPicture(f"cannot be decoded: {_reason(error)}") from error
    if options.small_images == "skip" and (true_size[0] < height or true_size[1] < width):
        raise BadPicture(f"{true_size[1]}x{true_size[0]} is smaller than {width}x{height}")
    has_alpha = image.mode in ("LA", "PA", "RGBA", "RGBa", "La") or "transparency" in image.info
    image = _coloured(image, has_alpha, options)
    pixels = np.asarray(_fitted(image, height, width, options))
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    pixels = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    colours = pixels[:3]
    is_grey = bool((colours == colours[:1]).all())
    return Picture(pixels, is_grey, name, mode, true_size, has_alpha)


def _opened(content: bytes) -> Image.Image:
    if not content:
        raise BadPicture("is empty")
    try:
        image = Image.open(io.BytesIO(content))
    except Exception as error:
        raise BadPicture(_reason(error)) from error
    if image.width * image.height > MOST_PIXELS:
        raise BadPicture(f"{image.width}x{image.height} pixels are more than {MOST_PIXELS:,}")
    return image


def _turned_size(image: Image.Image) -> tuple[int, int]:
    """Height and width as EXIF says that the picture is to be seen."""
    try:
        turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    except Exception:  # a damaged EXIF block is no reason to refuse the picture
        turned = False
    return (image.width, image.height) if turned else (image.height, image.width)


def _reason(error: Exception) -> str:
    if "cannot identify" in str(error):
        return "is not a picture"
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _eight_bit(image: Image.Image) -> Image.Image:
    """Pictures of 16 bits or floats scaled to 8, not clipped as Pillow converts them."""
    if image.mode in SIXTEEN_BIT:
        values = np.asarray(image).astype(np.float64)
        return Image.fromarray(np.clip(np.rint(values / 257), 0, 255).astype(np.uint8))
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image, dtype=np.float64))
        top = values.max()
        scale = 255.0 if 0 < top <= 1 else 255.0 / max(top, 255.0)
        return Image.fromarray(np.clip(np.rint(values * scale), 0, 255).astype(np.uint8))
    image.load()
    return image


def _coloured(image: Image.Image, has_alpha: bool, options: PictureOptions) -> Image.Image:
    if options.color == "rgba":
        return image.convert("RGBA")
    if has_alpha:
        layered = image.convert("RGBA")
        ground = Image.new("RGBA", layered.size, (*BACKGROUNDS[options.alpha], 255))
        image = Image.alpha_composite(ground, layered)
    return image.convert("L" if options.color == "grey" else "RGB")


def _fitted(image: Image.Image, height: int, width: int, options: PictureOptions) -> Image.Image:
    size, method = (width, height), Image.Resampling.LANCZOS
    if image.size == size:
        return image
    if options.fit == "crop":
        return ImageOps.fit(image, size, method)
    if options.fit == "stretch":
        return image.resize(size, method)
    frame = BACKGROUNDS[options.alpha]
    colour: int | tuple[int, ...] = frame[0] if image.mode == "L" else (*frame, 0) if image.mode == "RGBA" else frame
    return ImageOps.pad(image, size, method, color=colour)
