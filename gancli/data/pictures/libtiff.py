"""Silence libtiff, which Pillow uses for compressed TIFF files and which prints to stderr."""

import contextlib
import ctypes
from pathlib import Path

MAPS = Path("/proc/self/maps")


def silence() -> None:
    """Remove libtiff's message handlers; Pillow still raises its errors. Does nothing if libtiff is not found.

    The handlers are global to the process. Pillow does not set them in the copy of libtiff that it loads.
    """
    with contextlib.suppress(OSError, AttributeError):
        for path in {line.split(maxsplit=5)[-1] for line in MAPS.read_text().splitlines() if "/libtiff" in line}:
            library = ctypes.CDLL(path)
            library.TIFFSetErrorHandler(None)
            library.TIFFSetWarningHandler(None)
