"""Read the plain data of a ``.pth`` or ``.pt`` file without torch, in milliseconds."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

MAX_BYTES = 2**24
"""Largest plain part that is read; it holds names and shapes, not weights."""


class _WithoutTensors(pickle.Unpickler):
    """Imports nothing that a file names: whatever is not plain data becomes a `_Nothing`."""

    def find_class(self, module: str, name: str) -> type:
        return _Nothing

    def persistent_load(self, pid: object) -> None:
        return None


class _Nothing(dict[Any, Any]):
    """Takes the place of a tensor or an ordered dictionary; calling it runs no code of the file."""

    def __init__(self, *_: object) -> None:
        super().__init__()


def plain_part(path: Path) -> Any:
    """The content of a file of torch's, with an empty dictionary in place of each tensor.

    Checks neither checksums nor the format, so use it only for hints. Raises any exception for a file that is not
    torch's.
    """
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
        if archive.getinfo(name).file_size > MAX_BYTES:
            raise ValueError(f"{path}: its plain part is too large")
        with archive.open(name) as file:
            return _WithoutTensors(file).load()
