"""Inspect the pictures of a NumPy file before training."""

import hashlib
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from gancli.config.pictures import PictureOptions
from gancli.data import arrays
from gancli.data.conditions import summary_of
from gancli.data.pictures.inspection import SHEET, Inspection
from gancli.data.pictures.labels import imbalance


def inspect_array(path: Path, size: tuple[int, int] | None, options: PictureOptions) -> Inspection:
    """Count the pictures of a NumPy file; arguments and errors are those of `arrays.load`."""
    began = time.perf_counter()
    content, images = arrays.read(path)
    dataset = arrays.dataset_of(path, content, images, size, options)
    count, channels, height, width = images.shape
    used = torch.cat([dataset.train.images[:], dataset.heldout.images[:]])
    inspection = Inspection(str(path), (used.shape[2], used.shape[3]), dict(dataset.options), other_files=0)
    inspection.pictures = inspection.frames = count
    inspection.formats = Counter({path.suffix[1:].upper(): count})
    inspection.modes = Counter({arrays.MODES[channels]: count})
    inspection.sizes = Counter({(height, width): count})
    labels = [each.labels for each in (dataset.train, dataset.heldout) if each.labels is not None]
    inspection.classes = Counter(dataset.classes[number] for each in labels for number in each.tolist())
    if dataset.conditions is not None:
        rows = [each.conditions for each in (dataset.train, dataset.heldout) if each.conditions is not None]
        inspection.conditions = summary_of(dataset.conditions.names, torch.cat(rows))
    inspection.duplicates = _copies(images)
    inspection.transparent = int((images[:, 3] < 255).any(-1).any(-1).sum()) if channels == 4 else 0
    inspection.enlarged = count if used.shape[2] > height or used.shape[3] > width else 0
    inspection.channels, inspection.heldout = used.shape[1], len(dataset.heldout)
    inspection.memory_bytes = used.nbytes
    inspection.warnings = [text] if (text := imbalance(inspection.classes)) else []
    inspection.sheet = used[:: max(1, count // SHEET)][:SHEET]
    inspection.seconds = round(time.perf_counter() - began, 3)
    return inspection


def _copies(images: Iterable[Tensor]) -> list[list[str]]:
    """Groups of numbers of equal pictures."""
    numbers: dict[str, list[str]] = defaultdict(list)
    for number, image in enumerate(images):
        numbers[hashlib.sha256(image.numpy().tobytes()).hexdigest()].append(str(number))
    return [each for each in numbers.values() if len(each) > 1]
