"""Every kind of picture comes out as 8 bits of one shape and the right colours; every bad one with its reason."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps, TiffImagePlugin
from sample_pictures import encoded, picture, png_that_claims

from gancli.config.pictures import PictureOptions
from gancli.data.pictures.decoding import PictureFile, TooSmall, decode
from gancli.data.pictures.formats import FORMATS
from gancli.data.pictures.opening import BadPicture, header_size

DEFAULT = PictureOptions()
RGB = PictureOptions(color="rgb")
LOSSLESS = ("PNG", "BMP", "TIFF", "PPM", "QOI", "JPEG2000")


def pixels(content: bytes, height: int = 20, width: int = 30, options: PictureOptions = DEFAULT) -> np.ndarray:
    return decode(content, height, width, options).pixels


def close(one: np.ndarray, other: np.ndarray, levels: float) -> bool:
    return one.shape == other.shape and np.abs(one.astype(float) - other).mean() < levels


@pytest.mark.parametrize(
    "kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "QOI", "AVIF", "JPEG2000", "HEIF"]
)
def test_formats_agree(kind: str) -> None:
    if kind not in FORMATS:
        pytest.skip(f"{kind} is not read here")
    found = decode(encoded(picture(1), kind), 20, 30, DEFAULT)
    assert found.pixels.dtype == np.uint8
    assert close(found.pixels, np.asarray(picture(1)).transpose(2, 0, 1), 0.01 if kind in LOSSLESS else 25)
    assert (found.format, found.size) == (kind, (20, 30))
    assert not found.traits.has_alpha and not found.traits.is_grey


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "CMYK", "YCbCr", "LAB"])
def test_modes_become_rgb(mode: str) -> None:
    image = (
        picture(2).quantize(16) if mode == "P" else picture(2).convert("RGB").convert("L" if mode == "LA" else "RGB")
    )
    image = image if mode == "P" else image.convert(mode)
    found = decode(encoded(image, "PNG" if mode in ("L", "1", "P", "LA") else "TIFF"), 20, 30, DEFAULT)
    assert found.mode == mode
    expected = np.asarray(image.convert("RGB") if mode != "LAB" else image).transpose(2, 0, 1)
    assert found.pixels.shape == (3, 20, 30)
    assert found.traits.is_grey == (mode in ("L", "1", "LA"))
    if mode != "LAB":  # Pillow and its profiles round differently
        assert close(found.pixels, expected, 1)


@pytest.mark.parametrize(("alpha", "level"), [("white", 255), ("black", 0)])
def test_what_shines_through(alpha: str, level: int) -> None:
    clear = Image.new("RGBA", (8, 8), (200, 10, 10, 0))
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 200, 10, 10])
    for content in (encoded(clear), encoded(palette, transparency=1), encoded(clear, "WEBP", lossless=True)):
        found = decode(content, 8, 8, PictureOptions(alpha=alpha))  # type: ignore[arg-type]
        assert found.traits.has_alpha
        assert (found.pixels == level).all()


def test_alpha_is_kept_when_asked_for_and_opaque_is_no_transparency() -> None:
    half = Image.new("RGBA", (8, 8), (200, 10, 10, 128))
    assert pixels(encoded(half), 8, 8, PictureOptions(color="rgba"))[:, 0, 0].tolist() == [200, 10, 10, 128]
    assert not decode(encoded(picture().convert("RGBA")), 20, 30, DEFAULT).traits.has_alpha


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_the_picture(kind: str, orientation: int) -> None:
    """As Pillow's own function does, before anything is cut off: the one corner that is red goes with it."""
    image = Image.new("RGB", (60, 40), (0, 0, 255))
    image.paste((255, 0, 0), (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(image, kind, exif=exif, quality=95)
    turned = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    found = decode(content, turned.height, turned.width, DEFAULT)
    assert header_size(io.BytesIO(content)) == found.size == (turned.height, turned.width)
    assert close(found.pixels, np.asarray(turned.convert("RGB")).transpose(2, 0, 1), 0.1)
    middle = pixels(content, 20, 20)
    assert close(middle, np.asarray(ImageOps.fit(turned.convert("RGB"), (20, 20))).transpose(2, 0, 1), 3)


def test_the_size_is_in_the_header(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred large pictures, looked at before each start, must not be decoded for it."""
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    for kind in ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF"):
        assert header_size(io.BytesIO(encoded(picture(), kind))) == (20, 30)


def test_a_damaged_exif_block_does_no_harm() -> None:
    content = encoded(picture(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01garbage")
    assert pixels(content).shape == (3, 20, 30)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG"])
def test_the_first_frame_is_taken(kind: str) -> None:
    frames = [picture(n).convert("RGB") for n in range(3)]
    options = {"save_all": True, "append_images": frames[1:]} | ({"lossless": True} if kind == "WEBP" else {})
    assert close(pixels(encoded(frames[0], kind, **options)), np.asarray(frames[0]).transpose(2, 0, 1), 25)


def test_fits() -> None:
    left_red = Image.new("RGB", (40, 20), (0, 0, 255))
    left_red.paste((255, 0, 0), (0, 0, 10, 20))
    content = encoded(left_red)
    crop, pad, stretch = (pixels(content, 20, 20, PictureOptions(fit=fit)) for fit in ("crop", "pad", "stretch"))  # type: ignore[arg-type]
    assert (crop[0] == 0).all(), "the middle has no red"
    assert (pad[:, :4] == 255).all() and (pad[:, -4:] == 255).all(), "a white frame above and below"
    assert stretch[0, 10, 2] > 250 and stretch[0, 10, 8] < 5


def test_shrinking_is_antialiased() -> None:
    """Also where most of the way is done by JPEG's scales or by whole factors."""
    board = (np.indices((512, 512)).sum(0) % 2 * 255).astype(np.uint8)
    for content in (encoded(Image.fromarray(board)), encoded(Image.fromarray(board), "JPEG", quality=100)):
        assert np.abs(pixels(content, 16, 16).astype(int) - 127).max() <= 3


@pytest.mark.parametrize("size", [(41, 57), (301, 200), (1003, 1507)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_shortcuts_of_shrinking_move_nothing(size: tuple[int, int], kind: str) -> None:
    """Whole factors and JPEG's scales seldom divide a side, and a part of a pixel must not become a whole one."""
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8))
    image = image.resize(size[::-1], Image.Resampling.BICUBIC)
    expected = np.asarray(ImageOps.fit(image, (17, 33), Image.Resampling.LANCZOS)).transpose(2, 0, 1)
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    assert close(pixels(encoded(image, kind, **options), 33, 17), expected, 0.6)


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_transparent_pixels_give_no_colour_to_their_neighbours(fit: str) -> None:
    image = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    image.paste((0, 255, 0, 255), (0, 0, 32, 64))
    kept = pixels(encoded(image), 8, 8, PictureOptions(color="rgba", alpha="keep", fit=fit))  # type: ignore[arg-type]
    assert (kept[0] == 0).all(), "the hidden red"
    on_white = pixels(encoded(image), 8, 8, PictureOptions(fit=fit))  # type: ignore[arg-type]
    assert (on_white[1] == 255).all()
    assert (on_white[0] == on_white[2]).all()
    assert np.abs(on_white[0].astype(int) + kept[3] - 255).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (10000, 3), (3, 10000), (1, 10000)])
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_extreme_shapes(size: tuple[int, int], fit: str) -> None:
    content = encoded(picture(height=size[0], width=size[1]))
    assert pixels(content, 16, 24, PictureOptions(fit=fit)).shape == (3, 16, 24)  # type: ignore[arg-type]


def test_small_pictures_are_enlarged_or_left_out() -> None:
    assert pixels(encoded(picture()), 64, 64).shape == (3, 64, 64)
    with pytest.raises(TooSmall, match="30x20 is smaller than 64x64"):
        pixels(encoded(picture()), 64, 64, PictureOptions(small_images="skip"))


GOOD = encoded(picture(), "JPEG")
BAD = {
    "empty": (b"", "empty"),
    "JPEG XL": (b"\xff\x0a" + bytes(200), "is JPEG XL; convert it"),
    "text": (b"hello", "not a picture"),
    "truncated JPEG": (GOOD[: len(GOOD) // 2], "(?i)truncated"),
    "truncated PNG": (encoded(picture(5, 200, 200))[:200], "truncated|damaged"),
    "truncated WebP": (encoded(picture(5, 200, 200), "WEBP")[:200], "damaged"),
    "bomb": (png_that_claims(60000, 60000), "more than 89,000,000"),
    "smaller bomb": (png_that_claims(9999, 9999, bytes(9999 * (9999 * 3 + 1))), "more than 89,000,000"),
    "header alone": (png_that_claims(5000, 5000), "cannot be decoded"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n", "not a picture"),
    "WebP of nothing": (b"RIFF\xff\xff\xff\x7fWEBPVP8 " + bytes(50), ""),
    "GIF of nothing": (b"GIF89a" + bytes(30), ""),
    "TIFF of nothing": (b"II*\0\x08\0\0\0" + bytes(100), ""),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_bad_says_why(name: str, recwarn: pytest.WarningsRecorder) -> None:
    content, reason = BAD[name]
    with pytest.raises(BadPicture, match=reason) as error:
        pixels(content)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("where", ["before the pixels", "behind the pixels"])
@pytest.mark.parametrize("kind", ["zTXt", "iTXt", "tEXt", "iCCP"])
def test_a_png_is_read_whatever_its_metadata(kind: str, where: str) -> None:
    """Image tools write workflows of megabytes into text, and profiles may be as large."""
    plain = encoded(picture(), "PNG")
    packed = zlib.compress(bytes(2_000_000))
    data = {
        "zTXt": b"workflow\0\0" + packed,
        "iTXt": b"workflow\0\1\0\0\0" + packed,
        "tEXt": b"workflow\0" + b"x" * 2_000_000,
        "iCCP": b"profile\0\0" + packed,
    }[kind]
    chunk = struct.pack(">I", len(data)) + kind.encode() + data + struct.pack(">I", zlib.crc32(kind.encode() + data))
    place = 33 if where == "before the pixels" else plain.index(b"IEND") - 4
    content = plain[:place] + chunk + plain[place:]
    assert header_size(io.BytesIO(content)) == (20, 30)
    assert (pixels(content) == pixels(plain)).all()


def test_a_png_keeps_the_small_text_that_turns_it() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    plain = encoded(picture(), "PNG", exif=exif)
    data = b"workflow\0\0" + zlib.compress(bytes(2_000_000))
    chunk = struct.pack(">I", len(data)) + b"zTXt" + data + struct.pack(">I", zlib.crc32(b"zTXt" + data))
    assert decode(plain[:33] + chunk + plain[33:], 30, 20, DEFAULT).size == (30, 20)


def test_large_photographs_are_a_question_of_the_limit() -> None:
    """A JPEG is decoded at an eighth of its size, so that it may be larger; but not one that is held whole."""
    jpeg, progressive = (
        encoded(Image.new("L", (1600, 1600)), "JPEG", progressive=progressive) for progressive in (False, True)
    )
    png = encoded(Image.new("L", (1600, 1600)))
    small, large = PictureOptions(max_pixels=200 * 200), PictureOptions(max_pixels=1600 * 1600)
    assert pixels(jpeg, 16, 16, small).shape == (3, 16, 16)
    for content in (progressive, png):
        with pytest.raises(BadPicture, match=r"1600x1600 pixels are more than 40,000; --max-pixels"):
            pixels(content, 16, 16, small)
        assert pixels(content, 16, 16, large).shape == (3, 16, 16)


def test_pillows_own_limit_is_none_here_and_stays_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    content = encoded(picture(1, 100, 100))
    assert header_size(io.BytesIO(content)) == (100, 100)
    assert pixels(content, 16, 16).shape == (3, 16, 16)
    assert Image.MAX_IMAGE_PIXELS == 1000


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG"])
def test_each_frame_is_decoded_in_any_order(kind: str) -> None:
    frames = [picture(n) for n in range(3)]
    options = {"save_all": True, "append_images": frames[1:]} | ({"lossless": True} if kind == "WEBP" else {})
    file = PictureFile(encoded(frames[0], kind, **options))
    assert file.frame_numbers() == [0, 1, 2]
    for number in (0, 2, 1, 1):
        found = file.decode(20, 30, DEFAULT, frame=number)
        assert close(found.pixels, np.asarray(frames[number]).transpose(2, 0, 1), 25)
        assert found.traits.frames == (3 if number == 0 else 1)
    assert PictureFile(encoded(picture(), kind)).frame_numbers() == [0]


def test_a_small_copy_in_a_tiff_and_a_preview_in_a_photograph_are_no_frames() -> None:
    pages = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(pages, new=True) as writer:
        for number, kind in enumerate((0, 1, 0)):
            picture(number).save(writer, "TIFF", tiffinfo={254: kind})
            writer.newFrame()
    assert PictureFile(pages.getvalue()).frame_numbers() == [0, 2]
    photograph = encoded(picture(), "MPO", save_all=True, append_images=[picture(1)])
    assert PictureFile(photograph).frame_numbers() == [0]


def test_a_large_picture_needs_little_more_memory_than_its_pixels() -> None:
    import resource

    content = encoded(Image.new("RGB", (8000, 8000)), compress_level=1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert pixels(content, 64, 64).shape == (3, 64, 64)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1.6 * 8000 * 8000 * 4 / 1024


def test_grey_pictures_stay_equal_in_both_ways_to_read_them() -> None:
    content = encoded(picture(7).convert("L"), "JPEG")
    rgb, grey = pixels(content, 16, 16, RGB), pixels(content, 16, 16, PictureOptions(color="grey"))
    assert grey.shape == (1, 16, 16)
    assert (rgb == grey).all()
