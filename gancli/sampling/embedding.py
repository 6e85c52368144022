"""Write and read the XMP packet in each file format."""

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gancli.errors import FileFormatError
from gancli.sampling.mark import Mark

GIF_BLOCK = b"\x21\xff\x0bXMP DataXMP"
"""An application extension, in which the packet stands as it is and not in blocks of 255 bytes."""
GIF_END = bytes([1, *range(255, -1, -1), 0])
"""Leads a reader that takes the packet for blocks, wherever it is, to the end of the extension."""
MP4_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
"""The type of an MP4 file's box for XMP (ISO 16684-3)."""


def saving_options(form: str, mark: Mark) -> dict[str, Any]:
    """Pillow's options for a PNG, JPEG or WebP with the mark; empty for a GIF."""
    if form == "PNG":
        texts = PngInfo()
        texts.add_itxt("XML:com.adobe.xmp", mark.packet().decode())
        if (record := mark.aigc()) is not None:
            texts.add_itxt("AIGC", record)
        return {"pnginfo": texts}
    return {} if form == "GIF" else {"xmp": mark.packet()}


def into_gif(content: bytes, mark: Mark) -> bytes:
    """A GIF file's content with the mark, before its first block."""
    flags = content[10]
    start = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)  # after the global table of colours, if there is one
    return content[:start] + GIF_BLOCK + mark.packet() + GIF_END + content[start:]


def into_mp4(content: bytes, mark: Mark) -> bytes:
    """An MP4 file's content with the mark, as its last box."""
    packet = mark.packet()
    return content + struct.pack(">I", 24 + len(packet)) + b"uuid" + MP4_UUID + packet


def packet_in_mp4(content: bytes) -> bytes | None:
    """The XMP packet of an MP4 file; None without one. Ends at a box that is damaged."""
    place = 0
    while place + 24 <= len(content):
        size, head = int.from_bytes(content[place : place + 4], "big"), 8
        if size == 1:
            size, head = int.from_bytes(content[place + 8 : place + 16], "big"), 16
        if content[place + 4 : place + 8] == b"uuid" and content[place + head : place + head + 16] == MP4_UUID:
            return content[place + head + 16 : place + size]
        if size < head:
            return None
        place += size
    return None


def packet_in_picture(picture: Image.Image, content: bytes) -> bytes | None:
    """The XMP packet of a picture file, opened and as bytes; None without one."""
    if picture.format == "GIF":
        start = content.find(GIF_BLOCK)
        end = content.find(GIF_END, start)
        return content[start + len(GIF_BLOCK) : end] if 0 <= start < end else None
    info: Mapping[Any, Any] = picture.info
    packet = info.get("xmp") or info.get("XML:com.adobe.xmp")
    return packet.encode() if isinstance(packet, str) else packet


def packet_in_array(path: Path) -> bytes | None:
    """The XMP packet of an ``.npz`` file, which is the comment of the archive; None without one, as of an ``.npy``."""
    if path.suffix.lower() != ".npz":
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.comment or None
    except (OSError, zipfile.BadZipFile) as error:
        raise FileFormatError(f"cannot read {path}: {error}.") from error
