"""Drop text and colour profiles of a PNG file that are larger than Pillow allows, so that it can be read."""

import struct
import zlib
from collections.abc import Iterator

from PIL import PngImagePlugin

SIGNATURE = b"\x89PNG\r\n\x1a\n"
METADATA = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")


def without_large_metadata(content: bytes) -> bytes:
    """Return a PNG file without text and profiles that Pillow would refuse; return other files unchanged."""
    if not content.startswith(SIGNATURE):
        return content
    total, dropped = 0, list[tuple[int, int]]()
    for kind, start, end in _chunks(content):
        if kind in METADATA:
            size = _size(kind, content[start + 8 : end - 4])
            total += size
            if size > PngImagePlugin.MAX_TEXT_CHUNK or total > PngImagePlugin.MAX_TEXT_MEMORY:
                dropped.append((start, end))
    if not dropped:
        return content
    kept, place = [], 0
    for start, end in dropped:
        kept.append(content[place:start])
        place = end
    return b"".join([*kept, content[place:]])


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of each complete chunk."""
    place = len(SIGNATURE)
    while place + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        end = place + 12 + length
        if end > len(content):
            return
        yield kind, place, end
        place = end


def _size(kind: bytes, data: bytes) -> int:
    """Unpacked size of a text or profile in bytes; for one above Pillow's limit, the limit plus 1."""
    _, _, rest = data.partition(b"\0")
    if kind == b"tEXt" or (kind == b"iTXt" and rest[:1] != b"\1"):
        return len(data)
    packed = rest[2:].split(b"\0", 2)[-1] if kind == b"iTXt" else rest[1:]
    try:
        return len(zlib.decompressobj().decompress(packed, PngImagePlugin.MAX_TEXT_CHUNK + 1))
    except zlib.error:
        return 0
