"""Scale pictures with more than 8 bits a channel to 8 bits, by one range for all pictures of a set."""

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from gancli.config.pictures import parsed_range

SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N")
SIXTEEN, THIRTY_TWO, FLOATS = "16 bits", "32 bits", "floats"
FULL = {SIXTEEN: (0.0, 65535.0), THIRTY_TWO: (0.0, 2.0**31 - 1), FLOATS: (0.0, 1.0)}
"""The full range of each kind of values."""
NICE_FLOATS = (1.0, 255.0, 65535.0)
"""Usual maxima of float pictures; one of them becomes white if the set's maximum is more than half of it."""
PHOTOMETRIC = 262
"""TIFF tag for the meaning of values; if it is 0, the value 0 is white."""
MIN_BRIGHTEST = 64
"""Pictures look black if the brightest pixel of the set is darker than this."""
Extent = tuple[float, float]


class Deep(NamedTuple):
    """The values of one picture, and the range that its pixels were scaled by."""

    kind: str
    low: float
    high: float
    """Smallest and largest finite value."""
    black: float
    white: float
    """Values that became 0 and 255."""
    is_colour: bool = False
    is_inverted: bool = False
    """True if small values are bright, as in a TIFF whose white is 0."""


@dataclass(frozen=True)
class Ranges:
    """The values that become black and white, for integer and for float pictures."""

    integers: Extent = FULL[SIXTEEN]
    floats: Extent = FULL[FLOATS]

    def of(self, kind: str) -> Extent:
        """The range for one kind of values."""
        return self.floats if kind == FLOATS else self.integers


def ranges_of(pictures: Sequence[Deep], choice: str) -> Ranges:
    """The ranges that scale a set's pictures, for a value of ``--range``.

    ``auto`` looks at all pictures. Integers start at 0, unless some are negative, and end at 2^bits - 1 for as many
    bits as they need. Floats end at 1, 255 or 65,535 if more than half of it is used, otherwise at their maximum.
    """
    if given := parsed_range(choice):
        return Ranges(given, given)
    integers, floats = ([each for each in pictures if (each.kind == FLOATS) is wanted] for wanted in (False, True))
    if choice == "full":
        return Ranges(FULL[THIRTY_TWO if any(each.kind == THIRTY_TWO for each in integers) else SIXTEEN], FULL[FLOATS])
    return Ranges(
        _bits_of(*_extent(integers)) if integers else FULL[SIXTEEN],
        _nice(*_extent(floats)) if floats else FULL[FLOATS],
    )


def described(pictures: Sequence[Deep], ranges: Ranges) -> list[str]:
    """One line for each kind of values: "16 bits, values 0 to 4,095: scaled by 4,095"."""
    lines = []
    for kind in (SIXTEEN, THIRTY_TWO, FLOATS):
        some = [each for each in pictures if each.kind == kind]
        if some:
            (low, high), (black, white) = _extent(some), ranges.of(kind)
            scaling = f"by {_number(white)}" if black == 0 else f"from {_number(black)} to {_number(white)}"
            lines.append(f"{kind}, values {_number(low)} to {_number(high)}: scaled {scaling}")
    return lines


def as_choice(pictures: Sequence[Deep], ranges: Ranges) -> str:
    """The range as a value of ``--range``; ``auto`` without deep pictures, or if integers and floats differ."""
    used = {ranges.of(each.kind) for each in pictures}
    return ",".join(f"{number:.17g}" for number in used.pop()) if len(used) == 1 else "auto"


def levels(picture: Deep, ranges: Ranges) -> tuple[int, int]:
    """The darkest and the brightest pixel of a picture after scaling, 0 to 255."""
    low, high = map(int, scaled(np.array([picture.low, picture.high]), ranges.of(picture.kind)))
    return (255 - high, 255 - low) if picture.is_inverted else (low, high)


def kind_of(image: Image.Image) -> str | None:
    """The kind of values of an opened picture that is not loaded yet; None for up to 8 bits."""
    if image.mode == "F":
        return FLOATS
    if image.mode == "I":
        return SIXTEEN if image.format in ("PNG", "PPM") else THIRTY_TWO
    return SIXTEEN if image.mode in SIXTEEN_BIT or _other_half(image) else None


def eight_bit(
    image: Image.Image, kind: str, ranges: Ranges, reopened: Callable[[], Image.Image]
) -> tuple[Image.Image, Deep]:
    """Scale a picture to L, RGB or RGBA; returns its original values, too.

    ``reopened`` opens the picture again, to read the low bytes of 16-bit colours.
    """
    values = np.asarray(image) if image.mode in ("F", "I", *SIXTEEN_BIT) else _colours(image, reopened())
    alpha = None
    if values.ndim == 3:
        values, alpha = values[..., :3], values[..., 3:]
    black, white = ranges.of(kind)
    finite = values[np.isfinite(values)] if kind == FLOATS else values
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    pixels, is_inverted = scaled(values, (black, white)), white_is_zero(image)
    if is_inverted:
        pixels = 255 - pixels
    if alpha is not None and alpha.size:
        pixels = np.concatenate([pixels, scaled(alpha, FULL[SIXTEEN])], -1)
    return Image.fromarray(pixels), Deep(kind, low, high, black, white, values.ndim == 3, is_inverted)


def white_is_zero(image: Image.Image) -> bool:
    """True if a TIFF stores its picture inverted; Pillow inverts those of up to 8 bits itself."""
    return image.format == "TIFF" and image.tag_v2.get(PHOTOMETRIC) == 0  # type: ignore[attr-defined]


def scaled(values: np.ndarray, extent: Extent) -> np.ndarray:
    """Map values linearly to uint8: ``extent`` becomes 0 and 255, and values beyond are clipped."""
    black, white = extent
    levels = (values.astype(np.float32) - np.float32(black)) * (255.0 / (white - black))
    return np.clip(np.rint(np.nan_to_num(levels, nan=0.0, posinf=255.0, neginf=0.0)), 0, 255).astype(np.uint8)


def _other_half(image: Image.Image) -> Any:
    """Arguments that make Pillow's decoder return the low bytes of 16-bit colours, not the high ones.

    None for all other pictures.
    """
    tiles = getattr(image, "tile", None)
    arguments = tiles[0][3] if tiles else None
    raw = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    if not isinstance(raw, str):
        return None
    if raw == "LA;16B" and image.mode == "RGBA":  # four bytes a pixel, which fit the four channels
        return "RGBA"
    name, semicolon, order = raw.partition(";")
    if name not in ("RGB", "RGBA", "RGBX") or order not in ("16B", "16L", "16N"):
        return None
    is_little = order == "16L" or (order == "16N" and sys.byteorder == "little")
    other = f"{name}{semicolon}16{'B' if is_little else 'L'}"
    return (other, *arguments[1:]) if isinstance(arguments, tuple) else other


def _colours(image: Image.Image, second: Image.Image) -> np.ndarray:
    """Read 16-bit colours, uint16 ``(H, W, 3)`` or with alpha ``(H, W, 4)``, of a picture that was opened twice."""
    other = _other_half(second)
    second.tile = [(*tile[:3], other) for tile in second.tile]  # type: ignore[attr-defined]
    if other == "RGBA":
        both = np.asarray(second).astype(np.uint16)
        grey, alpha = ((both[..., place] << 8) | both[..., place + 1] for place in (0, 2))
        return np.stack([grey, grey, grey, alpha], -1)
    values = (np.asarray(image).astype(np.uint16) << 8) | np.asarray(second)
    if image.mode == "RGBX":
        return values[..., :3]
    if "transparency" in image.info and image.mode == "RGB":
        opaque = (values != np.asarray(image.info["transparency"])).any(-1, keepdims=True)
        return np.concatenate([values, (opaque * 65535).astype(np.uint16)], -1)
    return values


def _extent(pictures: Iterable[Deep]) -> Extent:
    pairs = [(each.low, each.high) for each in pictures]
    return min(low for low, _ in pairs), max(high for _, high in pairs)


def _bits_of(low: float, high: float) -> Extent:
    return min(0.0, low), float(2 ** max(1, math.ceil(math.log2(max(high, 1) + 1))) - 1)


def _nice(low: float, high: float) -> Extent:
    white = next((top for top in NICE_FLOATS if top / 2 < high <= top), high)
    if low >= 0:
        return 0.0, white if white > 0 else 1.0
    return -white if -white <= low < -white / 2 else low, white if white > low else low + 1.0


def _number(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() else f"{value:.4g}"
