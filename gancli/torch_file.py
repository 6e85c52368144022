"""The ``.pth`` and ``.pt`` files: tensors and plain data with a format and a version, never code."""

import io
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from gancli.errors import FileFormatError
from gancli.files import write_atomically


def save(path: Path, kind: str, version: int, content: Mapping[str, Any]) -> None:
    """Write tensors and plain data under ``path`` in one step. Equal content gives equal bytes."""
    buffer = io.BytesIO()
    torch.save(_canonical({"format": kind, "version": version, **content}), buffer)
    write_atomically(path, lambda file: file.write(buffer.getbuffer()))


def load(path: Path, kind: str, version: int) -> dict[str, Any]:
    """Read what `save` wrote, on the CPU, after verifying the checksum of every part.

    Raises FileFormatError if the file is missing, damaged, foreign, of another ``kind`` or of a newer
    ``version``, or if it holds anything but tensors and plain data (nothing in it is ever executed).
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise FileFormatError(f"{path} is damaged: the checksum of {damaged} is wrong.")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileFormatError:
        raise
    except OSError as error:
        raise FileFormatError(f"cannot read {path}: {error.strerror or error}.") from error
    except Exception as error:
        raise FileFormatError(f"{path} is not a file of gancli's, or is truncated; nothing was loaded.") from error
    if not isinstance(content, dict) or content.get("format") != kind:
        found = content.get("format", "no format") if isinstance(content, dict) else "no format"
        raise FileFormatError(f"{path} is not a {kind} file (it says: {found}).")
    if content.get("version") != version:
        raise FileFormatError(
            f"{path} has {kind} format {content.get('version')}, this gancli reads {version}; "
            "use the version of gancli that wrote it."
        )
    return content


def _canonical(value: Any) -> Any:
    """The same value with equal strings made one object, since a pickle says which strings are the same object."""
    if isinstance(value, str):
        return sys.intern(str(value))
    if isinstance(value, Mapping):
        return {_canonical(key): _canonical(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_canonical(each) for each in value)
    return value
