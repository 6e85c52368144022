"""The labels of drawn images, as ``gancli train`` and other tools read them: ``dataset.json``, or arrays."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gancli.data.arrays import LABELS
from gancli.files.atomic import write_atomically


@dataclass(frozen=True)
class Labelled:
    """The classes or the conditions of images that a conditional generator draws."""

    labels: Sequence[int | tuple[float, ...]]
    """For each image an index of ``names``, or a number for each of them if they are conditions."""
    names: Sequence[str]
    kind: Literal["classes", "conditions"] = "classes"

    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays of an ``.npz``, by name: int64 ``(N,)`` or float64 ``(N, K)``, and the names."""
        of_type = np.int64 if self.kind == "classes" else np.float64
        return {LABELS: np.array(self.labels, of_type), self.kind: np.array([*self.names], np.str_)}

    def of(self, place: int) -> dict[str, object]:
        """The class of one image, or its conditions by name, as plain data."""
        label = self.labels[place]
        if isinstance(label, tuple):
            return {"conditions": dict(zip(self.names, label, strict=True))}
        return {"class": self.names[label]}


def write_labels(folder: Path, pictures: Iterable[str], labelled: Labelled) -> None:
    """Write ``dataset.json`` as StyleGAN's tools have it, with the labels' names, for pictures of these names.

    Other pictures in the folder keep their labels if the names are the same.
    """
    path = folder / "dataset.json"
    content = _document(_labels_there(path, labelled) | _labels_by_name(pictures, labelled), labelled)
    write_atomically(path, lambda file: file.write(content))


def labels_document(pictures: Iterable[str], labelled: Labelled) -> bytes:
    """The content of the ``dataset.json`` that `write_labels` writes into a new folder."""
    return _document(_labels_by_name(pictures, labelled), labelled)


def _labels_by_name(pictures: Iterable[str], labelled: Labelled) -> dict[str, Any]:
    return dict(zip(pictures, labelled.labels, strict=True))


def _document(labels: Mapping[str, Any], labelled: Labelled) -> bytes:
    pairs = [list(pair) for pair in sorted(labels.items())]
    return json.dumps({"labels": pairs, labelled.kind: list(labelled.names)}).encode()


def _labels_there(path: Path, labelled: Labelled) -> dict[str, Any]:
    try:
        there = json.loads(path.read_bytes())
        return dict(there["labels"]) if there[labelled.kind] == list(labelled.names) else {}
    except (OSError, KeyError, TypeError, ValueError):
        return {}
