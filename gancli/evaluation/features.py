"""Features of images, computed once for all metrics, and files of them."""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gancli.errors import FileFormatError
from gancli.evaluation.extractors.base import Extractor
from gancli.files.atomic import write_atomically
from gancli.functional.pixels import to_floats

KIND = "gancli-features"
VERSION = 1


@dataclass(frozen=True)
class Features:
    """An extractor's output for N images, and their origin."""

    values: Tensor
    """float64 ``(N, d)`` on the CPU."""
    logits: Tensor | None
    """float64 ``(N, classes)`` on the CPU; None if the extractor is not a classifier."""
    extractor: str
    """Name of the extractor; ends with the first digits of a hash of its weights."""
    split: str
    """``train``, ``heldout`` or ``generated``."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Further facts, such as data set, fingerprint and seed."""

    def __len__(self) -> int:
        return len(self.values)

    def part(self, rows: slice | Tensor) -> "Features":
        """The features of some of the images."""
        logits = None if self.logits is None else self.logits[rows]
        return Features(self.values[rows], logits, self.extractor, self.split, self.facts)


@torch.inference_mode()
def extract(images: Tensor, extractor: Extractor, split: str, batch_size: int = 256) -> Features:
    """Features of uint8 images ``(N, C, H, W)``, computed in batches on the extractor's device."""
    device = next(extractor.network.parameters()).device
    parts = [extractor.network(to_floats(batch, device)) for batch in images.split(batch_size)]
    values = torch.cat([features.double().cpu() for features, _ in parts])
    logits = None if parts[0][1] is None else torch.cat([each.double().cpu() for _, each in parts])
    return Features(values, logits, extractor.name, split)


def save_features(path: Path, features: Features) -> None:
    """Write an ``.npz`` file of plain arrays: ``values``, ``logits`` if any, and ``about``, a JSON text."""
    about = {
        "format": KIND, "version": VERSION, "n": len(features), "extractor": features.extractor,
        "split": features.split, "facts": dict(features.facts),
    }  # fmt: skip
    arrays: dict[str, Any] = {"values": _smallest(features.values), "about": np.array(json.dumps(about))}
    if features.logits is not None:
        arrays["logits"] = _smallest(features.logits)
    write_atomically(path, lambda file: np.savez(file, **arrays))


def load_features(path: Path) -> Features:
    """Read a file of `save_features` without executing code; FileFormatError for any other file."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            about = json.loads(str(archive["about"]))
            arrays: dict[str, Any] = {
                name: torch.from_numpy(archive[name]).double() for name in archive.files if name != "about"
            }
        if about["format"] != KIND or about["version"] != VERSION:
            raise ValueError(f"it has format {about['format']} {about['version']}")
        features = Features(arrays["values"], arrays.get("logits"), about["extractor"], about["split"], about["facts"])
        _check(features)
        return features
    except OSError as error:
        if not isinstance(error, zipfile.BadZipFile) and error.strerror:
            raise FileFormatError(f"cannot read {path}: {error.strerror}.") from error
        raise FileFormatError(f"{path} is not a file of features ({error}).") from error
    except Exception as error:
        reason = "it holds pickled objects" if "pickle" in str(error) else error
        raise FileFormatError(f"{path} is not a file of features that gancli eval saved ({reason}).") from error


def _check(features: Features) -> None:
    values, logits = features.values, features.logits
    if values.ndim != 2 or not len(values) or not values.isfinite().all():
        raise ValueError("its values are not a matrix of finite numbers")
    if logits is not None and (logits.ndim != 2 or len(logits) != len(values)):
        raise ValueError("its logits do not fit its values")
    if not isinstance(features.extractor, str) or not isinstance(features.facts, dict):
        raise ValueError("it does not say which extractor made it")


def _smallest(values: Tensor) -> np.ndarray:
    """The values as float32 if that is exact, else as float64."""
    single = values.float()
    return (single if torch.equal(single.double(), values) else values).numpy()
