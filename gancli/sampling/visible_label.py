"""A text under a picture, in a strip of its own, so that the picture's pixels stay as they are."""

from dataclasses import dataclass
from functools import cached_property

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gancli.errors import UsageError

MIN_SHARE = 0.05
"""Height of the letters as a share of the picture's shorter side, as GB 45438-2025 asks for."""
MIN_PIXELS = 12
"""Size of letters that can just be read."""
NO_SIGN = "\uffff"
"""A character that no font has."""


@dataclass(frozen=True)
class VisibleLabel:
    """A text and its font."""

    text: str
    font: str | None = None
    """A TrueType or OpenType file; None: the one that Pillow brings."""

    def __post_init__(self) -> None:
        blank = self._outline(NO_SIGN)
        missing = [sign for sign in dict.fromkeys(self.text) if not sign.isspace() and self._outline(sign) == blank]
        if not self.text.strip() or any(not sign.isprintable() for sign in self.text):
            raise UsageError("--label has nothing that can be drawn in one line; give it a text.")
        if missing:
            where = self.font or "the built-in font"
            raise UsageError(f"--label: {where} has no {' '.join(missing)}; name a font that has with --label-font.")

    @cached_property
    def _smallest(self) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
        return self.sized(MIN_PIXELS)

    def _outline(self, sign: str) -> bytes:
        return bytes(self._smallest.getmask(sign))

    def sized(self, pixels: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
        """The font with letters of this height; UsageError if it cannot be read."""
        try:
            return ImageFont.truetype(self.font, pixels) if self.font else ImageFont.load_default(pixels)
        except OSError as error:
            raise UsageError(f"--label-font {self.font} cannot be read ({error}); name a .ttf or .otf file.") from error

    def under(self, picture: Tensor) -> Tensor:
        """uint8 ``(C, H, W)`` with the text in black on white below it: ``(C, H', W')``, no smaller.

        A picture that is narrower than its text stands in the middle.
        """
        channels, height, width = picture.shape
        font = self.sized(max(MIN_PIXELS, round(1.5 * MIN_SHARE * min(height, width))))
        left, top, right, bottom = map(round, font.getbbox(self.text))
        margin = max(2, (bottom - top) // 3)
        wide, high = max(width, right - left + 2 * margin), bottom - top + 2 * margin
        strip = Image.new("L", (wide, high), 255)
        ImageDraw.Draw(strip).text(((wide - right + left) // 2 - left, margin - top), self.text, fill=0, font=font)
        sheet = torch.full((channels, height + high, wide), 255, dtype=torch.uint8)
        start = (wide - width) // 2
        sheet[:, :height, start : start + width] = picture
        sheet[: min(channels, 3), height:] = torch.frombuffer(bytearray(strip.tobytes()), dtype=torch.uint8).view(
            high, wide
        )
        return sheet
