"""Supported picture formats, which Pillow or an installed pillow-heif reads, and known unsupported ones."""

from collections import Counter
from collections.abc import Mapping
from importlib.util import find_spec

from PIL import Image, features

_ALWAYS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"), "PNG": (".png", ".apng"), "WEBP": (".webp",), "BMP": (".bmp",),
    "DIB": (".dib",), "TIFF": (".tif", ".tiff"), "GIF": (".gif",), "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "QOI": (".qoi",),
}  # fmt: skip
_BY_FEATURE = {
    "AVIF": ("avif", (".avif", ".avifs")),
    "JPEG2000": ("jpg_2000", (".jp2", ".j2k", ".jpx", ".jpf", ".j2c", ".jpc")),
}
"""Formats that only some builds of Pillow read, with Pillow's name of the feature."""
_HEIC = (".heic", ".heif", ".hif")
_OTHERS = (
    ".jxl", ".psd", ".svg", ".exr", ".hdr", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".dcm",
    ".fits",
)  # fmt: skip


def _readable() -> dict[str, tuple[str, ...]]:
    """Supported formats, by Pillow's names, with their suffixes.

    Pillow reads more formats. For some it runs other programs, which an untrusted file must not start.
    """
    Image.init()  # load all plugins before threads need them
    readable = {name: suffixes for name, suffixes in _ALWAYS.items() if name in Image.OPEN}
    readable |= {
        name: suffixes
        for name, (feature, suffixes) in _BY_FEATURE.items()
        if name in Image.OPEN and feature in features.modules | features.codecs | features.features
        and features.check(feature)
    }  # fmt: skip
    if find_spec("pillow_heif"):
        import pillow_heif

        pillow_heif.register_heif_opener()
        readable["HEIF"] = _HEIC
    return readable


_FOUND = _readable()
FORMATS = tuple(_FOUND)
SUFFIXES = frozenset(suffix for suffixes in _FOUND.values() for suffix in suffixes)
_WITH_FRAMES = tuple(each for name in ("GIF", "TIFF", "WEBP", "PNG", "AVIF", "HEIF") for each in _FOUND.get(name, ()))
UNREAD = frozenset({*_HEIC, *_OTHERS, *(each for _, suffixes in _BY_FEATURE.values() for each in suffixes)}) - SUFFIXES
"""Suffixes of pictures in unsupported formats."""


def may_have_frames(name: str) -> bool:
    """Return True if a file with this name may hold several pictures."""
    return name.lower().endswith(_WITH_FRAMES)


def named_inside(head: bytes) -> str | None:
    """Recognise an unsupported format by a file's first bytes, and advise what to do; None for other formats."""
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"msf1") and "HEIF" not in FORMATS:
        return "HEIC; pip install 'gancli[heic]' or convert it"
    if head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis") and "AVIF" not in FORMATS:
        return "AVIF, which Pillow 11.3 and later read; update it or convert the file"
    is_jxl = head[:2] == b"\xff\x0a" or head[:12] == b"\0\0\0\x0cJXL \r\n\x87\n"
    return "JPEG XL; convert it" if is_jxl else None


def advice(unread: Mapping[str, int]) -> str:
    """A warning about pictures in unsupported formats, by suffix; empty if there are none."""
    if not unread:
        return ""
    total = sum(unread.values())
    kinds = ", ".join(f"{count:,} {suffix}" for suffix, count in Counter(unread).most_common())
    reader = " (for HEIC: pip install 'gancli[heic]')" if any(suffix in unread for suffix in _HEIC) else ""
    return (
        f"{total:,} {'picture is' if total == 1 else 'pictures are'} in a format that gancli does not read ({kinds}); "
        f"convert to PNG or JPEG{reader}"
    )
