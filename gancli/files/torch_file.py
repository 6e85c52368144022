"""``.pth`` and ``.pt`` files: tensors and plain data with a format and a version, never code."""

import io
import pickletools
import sys
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gancli.errors import FileFormatError
from gancli.files.atomic import write_atomically

MAX_VALUES, MAX_TEXT, MAX_NUMBER = 10**5, 10**4, 2**63
"""Bounds of a file's content: values, characters of a text, and size of an integer.

Without them, a small file with nested references could fill the memory."""
Scalar = str | int | float | None
"""Plain data except mappings and lists; bool is an int."""


def save(path: Path, kind: str, version: int, content: Mapping[str, Any]) -> None:
    """Write tensors and plain data to ``path`` atomically. Equal content gives equal bytes."""
    buffer = io.BytesIO()
    torch.save(_canonical({"format": kind, "version": version, **content}), buffer)
    write_atomically(path, lambda file: file.write(buffer.getbuffer()))


def load(path: Path, kind: str, version: int, oldest: int | None = None) -> dict[str, Any]:
    """Read a file that `save` wrote, to the CPU. Verifies every checksum first; never executes code from it.

    Raises:
        FileFormatError: the file is missing, damaged or foreign; has another ``kind``; is newer than ``version`` or
            older than ``oldest`` (default ``version``); contains anything except tensors and plain data; or claims to
            be larger than it is.
    """
    try:
        _verify(path)
        with warnings.catch_warnings(action="ignore"):  # they are about tensors that are refused below
            content = torch.load(path, map_location="cpu", weights_only=True)
        _require_plain(content, path)
    except FileFormatError:
        raise
    except OSError as error:
        raise FileFormatError(f"cannot read {path}: {error.strerror or error}.") from error
    except Exception as error:
        raise FileFormatError(f"{path} is not a file of gancli's, or is truncated; nothing was loaded.") from error
    own_kind = content.get("format", "no format") if isinstance(content, dict) else "no format"
    if own_kind != kind:
        raise FileFormatError(f"{path} is not a {kind} file (it says: {str(own_kind)[:80]}).")
    if content.get("version") not in range(version if oldest is None else oldest, version + 1):
        raise FileFormatError(
            f"{path} has {kind} format {str(content.get('version'))[:80]}, this gancli reads {version}; "
            "use the version of gancli that wrote it."
        )
    return content


def _verify(path: Path) -> None:
    """Raise FileFormatError if a checksum is wrong, or if parts claim to be larger than the file."""
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        packed = any(part.compress_type != zipfile.ZIP_STORED for part in parts)
        if packed or sum(part.file_size for part in parts) > path.stat().st_size:
            raise _strange(path, "compressed or overlapping parts")
        damaged = archive.testzip()
        for part in parts:
            if part.filename.endswith(".pkl") and not damaged:
                _require_short_texts(archive.read(part), path)
    if damaged is not None:
        raise FileFormatError(f"{path} is damaged: the checksum of {damaged[:80]} is wrong.")


def _require_short_texts(pickled: bytes, path: Path) -> None:
    """Raise FileFormatError for very long texts, which torch would need a long time to refuse."""
    for _, argument, _ in pickletools.genops(pickled):
        if isinstance(argument, str | bytes) and len(argument) > MAX_TEXT:
            raise _strange(path, "a text of strange length")


def _require_plain(content: Any, path: Path) -> None:
    """Raise FileFormatError unless the content is CPU tensors and plain data, of plausible number and size."""
    waiting, count = [content], 0
    while waiting:
        value = waiting.pop()
        count += 1
        if isinstance(value, Mapping):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple):
            waiting += value
        elif isinstance(value, Tensor):
            if type(value) not in (Tensor, nn.Parameter) or value.layout != torch.strided or value.device.type != "cpu":
                raise _strange(path, "a tensor of a strange kind")
        elif not isinstance(value, Scalar):
            raise _strange(path, f"a {type(value).__name__}")
        elif isinstance(value, int) and abs(value) >= MAX_NUMBER:
            raise _strange(path, "a number of strange size")
        if count + len(waiting) > MAX_VALUES:
            raise _strange(path, "more values than any network has")


def _strange(path: Path, what: str) -> FileFormatError:
    return FileFormatError(f"{path} is not a file of gancli's: it holds {what}; nothing was loaded.")


def _canonical(value: Any) -> Any:
    """Make equal strings one object, since a pickle records which strings are identical."""
    if isinstance(value, str):
        return sys.intern(str(value))
    if isinstance(value, Mapping):
        return {_canonical(key): _canonical(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_canonical(each) for each in value)
    return value
