"""The labels of drawn images, as ``gancli train`` and other tools read them: ``dataset.json``, or arrays."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gancli.data.arrays import CLASSES, LABELS
from gancli.files.atomic import write_atomically


@dataclass(frozen=True)
class Labelled:
    """The classes of images that a conditional generator draws."""

    labels: Sequence[int]
    """An index of `classes` for each image."""
    classes: Sequence[str]

    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays of an ``.npz``, by name: int64 ``(N,)``, and the names of the classes."""
        return {LABELS: np.array(self.labels, np.int64), CLASSES: np.array([*self.classes], np.str_)}


def write_labels(folder: Path, pictures: Iterable[str], labelled: Labelled) -> None:
    """Write ``dataset.json`` as StyleGAN's tools have it, with the classes' names, for pictures of these names.

    Other pictures in the folder keep their labels if the classes are the same.
    """
    path, classes = folder / "dataset.json", list(labelled.classes)
    content = _document(_labels_there(path, classes) | _labels_by_name(pictures, labelled), classes)
    write_atomically(path, lambda file: file.write(content))


def labels_document(pictures: Iterable[str], labelled: Labelled) -> bytes:
    """The content of the ``dataset.json`` that `write_labels` writes into a new folder."""
    return _document(_labels_by_name(pictures, labelled), list(labelled.classes))


def _labels_by_name(pictures: Iterable[str], labelled: Labelled) -> dict[str, int]:
    return dict(zip(pictures, labelled.labels, strict=True))


def _document(labels: Mapping[str, int], classes: Sequence[str]) -> bytes:
    return json.dumps({"labels": [list(pair) for pair in sorted(labels.items())], "classes": classes}).encode()


def _labels_there(path: Path, classes: list[str]) -> dict[str, int]:
    try:
        there = json.loads(path.read_bytes())
        return dict(there["labels"]) if there["classes"] == classes else {}
    except (OSError, KeyError, TypeError, ValueError):
        return {}
