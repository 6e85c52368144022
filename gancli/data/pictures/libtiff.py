"""The library by which Pillow reads compressed TIFF files, and what it writes to stderr by itself."""

import contextlib
import ctypes
from pathlib import Path

MAPS = Path("/proc/self/maps")


def silence() -> None:
    """Let it report errors to Pillow alone, which raises them; does nothing where it cannot be found.

    Its handlers are those of the process, and Pillow, which has loaded a copy of its own, leaves them as they are.
    """
    with contextlib.suppress(OSError, AttributeError):
        for path in {line.split(maxsplit=5)[-1] for line in MAPS.read_text().splitlines() if "/libtiff" in line}:
            library = ctypes.CDLL(path)
            library.TIFFSetErrorHandler(None)
            library.TIFFSetWarningHandler(None)
