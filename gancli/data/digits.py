"""The built-in data set: 1,797 grey scans of digits, 8 x 8, from scikit-learn."""

from pathlib import Path

import numpy as np
import torch

from gancli.data.dataset import DataSet, Split, split_by_content

HELDOUT_SHARE = 0.2


def load(root: Path) -> DataSet:
    """Load the scans, uint8 ``(N, 1, 8, 8)``, with labels; about 20 % are held out. ``root`` is unused.

    They are the test part of Optical Recognition of Handwritten Digits (Alpaydin and Kaynak 1998, UCI).
    """
    from sklearn.datasets import load_digits

    scans = load_digits()
    images = torch.from_numpy(np.rint(scans.images * (255 / 16)).astype(np.uint8)).unsqueeze(1)
    labels = torch.from_numpy(scans.target.astype(np.int64))
    held = split_by_content(images, HELDOUT_SHARE)
    return DataSet(
        "digits",
        Split(images[~held], labels[~held]),
        Split(images[held], labels[held]),
        tuple(str(name) for name in scans.target_names),
    )
