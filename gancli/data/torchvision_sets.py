"""Data sets that torchvision reads from the data root, or downloads there if they are missing."""

import contextlib
import io
import logging
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gancli.data.dataset import DataSet, Split
from gancli.errors import DataError

log = logging.getLogger(__name__)
CONNECT_SECONDS = 20.0


def load(cls_name: str, name: str, root: Path) -> DataSet:
    """Load both splits of ``torchvision.datasets.<cls_name>``: images, uint8 ``(N, C, H, W)``, and labels.

    Raises DataError if the files cannot be read, or are missing and cannot be downloaded.
    """
    train, heldout = (_part(cls_name, name, root, is_train) for is_train in (True, False))
    return DataSet(name, _split(train), _split(heldout), tuple(str(c) for c in train.classes))


def _part(cls_name: str, name: str, root: Path, train: bool) -> Any:
    from torchvision import datasets

    opened = partial(getattr(datasets, cls_name), str(root), train=train)
    try:
        return opened(download=False)
    except RuntimeError:  # torchvision raises this for "not found"
        return _download(opened, name, root)
    except Exception as error:
        raise DataError(f"the copy of {name} under {root} cannot be read: {error}.") from error


def _download(opened: Any, name: str, root: Path) -> Any:
    log.info("%s is not under %s; downloading it there.", name, root)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _time_limit(), contextlib.redirect_stdout(io.StringIO()):
            return opened(download=True)
    except PermissionError as error:
        raise DataError(f"{name} is not under {root}, and nothing can be written there; set --data-root.") from error
    except Exception as error:
        raise DataError(
            f"{name} is not under {root} and cannot be downloaded ({_reason(error)}); put it there, "
            "set --data-root to a folder that has it, or use --data digits, which needs no network."
        ) from error


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error).strip().splitlines()[0].rstrip(" .:")


@contextlib.contextmanager
def _time_limit() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(CONNECT_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _split(part: Any) -> Split:
    images = torch.from_numpy(np.asarray(part.data))
    images = images.unsqueeze(1) if images.ndim == 3 else images.permute(0, 3, 1, 2)
    return Split(images.contiguous(), torch.as_tensor(part.targets, dtype=torch.int64))
