"""Stacked MNIST: the colour channels of an image are three random digits, so there are 1,000 modes to count."""

from pathlib import Path

import torch
from torch import Tensor

from gancli.data import torchvision_sets
from gancli.data.dataset import DataSet, Split
from gancli.randomness import generator

TRAIN, HELDOUT = 128_000, 26_000
"""About 128 training images for each triple. Papers draw 26,000 samples to count modes (VEEGAN, Srivastava et al. 2017,
arXiv:1705.07761)."""


def load(root: Path) -> DataSet:
    """Stack MNIST's digits into colour images, uint8 ``(N, 3, 28, 28)``; every call returns the same images.

    The 128,000 training images use training digits, the 26,000 held-out images use test digits. The data set has no
    classes, because a generator that is given the triple could not drop a mode. Raises DataError if MNIST is not under
    ``root`` and cannot be downloaded.
    """
    mnist = torchvision_sets.load("MNIST", "mnist", root)
    train = _stacked(mnist.train.images, TRAIN, "stacked-mnist-train")
    heldout = _stacked(mnist.heldout.images, HELDOUT, "stacked-mnist-heldout")
    return DataSet("stacked-mnist", Split(train), Split(heldout), channels=mnist)


def _stacked(digits: Tensor, count: int, purpose: str) -> Tensor:
    triples = torch.randint(len(digits), (count, 3), generator=generator(0, purpose))
    return digits[triples, 0]
