"""Small pictures for the tests, each of them different."""

import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def picture(number: int = 0, height: int = 20, width: int = 30, channels: int = 3) -> Image.Image:
    """Large random patches, which survive JPEG and resizing."""
    patches = np.random.default_rng(number).integers(0, 256, (4, 4, channels), dtype=np.uint8)
    return Image.fromarray(patches.squeeze(2) if channels == 1 else patches).resize((width, height), 0)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The file's bytes."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def folder(root: Path, count: int = 40, **options: Any) -> Path:
    """A folder with so many PNG files, ``000.png`` and so on."""
    root.mkdir(parents=True)
    for number in range(count):
        (root / f"{number:03}.png").write_bytes(encoded(picture(number, **options)))
    return root


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    """An archive of these files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def png_that_claims(width: int, height: int, content: bytes = b"") -> bytes:
    """A PNG file whose header promises any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(content)) + chunk(b"IEND", b"")
