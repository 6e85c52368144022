"""Stacked MNIST: three random digits as the colours of one image, so that there are 1,000 modes to count."""

from pathlib import Path

import torch
from torch import Tensor

from gancli.data import torchvision_sets
from gancli.data.dataset import DataSet, Split
from gancli.randomness import generator

TRAIN, HELDOUT = 128_000, 26_000
"""Each triple of digits is trained on about 128 times; held out are as many as the papers draw to count modes (VEEGAN,
Srivastava et al. 2017, arXiv:1705.07761)."""


def load(root: Path) -> DataSet:
    """uint8 ``(N, 3, 28, 28)``: the first 128,000 triples are of MNIST's training digits, 26,000 held-out ones of its
    test digits, always the same. DataError if MNIST is not under ``root`` and cannot be had.

    There are no classes, since a generator that is told the triple would have no mode to find.
    """
    mnist = torchvision_sets.load("MNIST", "mnist", root)
    train = _stacked(mnist.train.images, TRAIN, "stacked-mnist-train")
    heldout = _stacked(mnist.heldout.images, HELDOUT, "stacked-mnist-heldout")
    return DataSet("stacked-mnist", Split(train), Split(heldout), channels=mnist)


def _stacked(digits: Tensor, count: int, purpose: str) -> Tensor:
    triples = torch.randint(len(digits), (count, 3), generator=generator(0, purpose))
    return digits[triples, 0]
