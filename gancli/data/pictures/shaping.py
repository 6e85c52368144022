"""Bring pictures of any size to one shape: crop, pad or stretch, always antialiased."""

from PIL import Image

from gancli.config.pictures import PictureOptions

BACKGROUNDS = {"white": (255, 255, 255), "black": (0, 0, 0), "keep": (0, 0, 0)}
GAP = 2.0
"""For speed, a much larger picture is first reduced by whole factors to this many times the wanted size, or more."""
Box = tuple[float, float, float, float]


def shaped(
    image: Image.Image, extent: tuple[float, float], size: tuple[int, int], options: PictureOptions
) -> Image.Image:
    """Bring a picture (L, RGB or RGBA) to ``size`` (width, height).

    Only the part of ``extent`` (width, height) from the top left is used.
    """
    if image.size == size == extent:
        return image
    if options.fit == "pad":
        return _padded(image, extent, size, options)
    return _resized(image, size, _middle(extent, size) if options.fit == "crop" else (0, 0, *extent))


def _middle(extent: tuple[float, float], size: tuple[int, int]) -> Box:
    """The largest centred box with the wanted aspect ratio."""
    scale = min(have / wanted for have, wanted in zip(extent, size, strict=True))
    width, height = (min(have, wanted * scale) for have, wanted in zip(extent, size, strict=True))
    left, top = (extent[0] - width) / 2, (extent[1] - height) / 2
    return left, top, min(left + width, extent[0]), min(top + height, extent[1])


def _padded(
    image: Image.Image, extent: tuple[float, float], size: tuple[int, int], options: PictureOptions
) -> Image.Image:
    scale = min(wanted / have for have, wanted in zip(extent, size, strict=True))
    inner = (max(1, round(extent[0] * scale)), max(1, round(extent[1] * scale)))
    ground = BACKGROUNDS[options.alpha]
    colour = {"L": ground[:1], "RGBA": (*ground, 0)}.get(image.mode, ground)
    frame = Image.new(image.mode, size, colour)
    frame.paste(_resized(image, inner, (0, 0, *extent)), ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2))
    return frame


def _resized(image: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
    """Resize the box; transparent pixels do not bleed their colour into their neighbours."""
    if image.mode == "RGBA":
        return _resized(image.convert("RGBa"), size, box).convert("RGBA")
    return image.resize(size, Image.Resampling.LANCZOS, box, reducing_gap=GAP)
