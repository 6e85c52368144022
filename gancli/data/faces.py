"""A built-in data set in colour: 268 faces of 48 x 48 pixels, of Microsoft's Fluent Emoji (MIT licence)."""

from importlib import resources
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from gancli.data.dataset import DataSet, Split, split_by_content

SIDE, COUNT = 48, 268
HELDOUT_SHARE = 0.1


def load(root: Path) -> DataSet:
    """Load the faces, uint8 ``(N, 3, 48, 48)``, without labels; about 10 % are held out. ``root`` is unused.

    They lie row by row in one lossless picture, which benchmarks/faces.py makes of the original ones.
    """
    with resources.files("gancli.data").joinpath("faces.webp").open("rb") as file:
        sheet = torch.from_numpy(np.asarray(Image.open(file).convert("RGB")).copy())
    rows, columns = sheet.shape[0] // SIDE, sheet.shape[1] // SIDE
    tiles = sheet.view(rows, SIDE, columns, SIDE, 3).permute(0, 2, 4, 1, 3)
    images = tiles.reshape(-1, 3, SIDE, SIDE)[:COUNT].contiguous()
    held = split_by_content(images, HELDOUT_SHARE)
    return DataSet("faces", Split(images[~held]), Split(images[held]))
