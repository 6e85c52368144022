"""Pixels: images moved by whole pixels."""

import torch

from gancli.functional.pixels import moved


def test_each_image_moves_by_its_own_shift_and_repeats_its_border() -> None:
    images = torch.arange(6).view(1, 1, 2, 3).repeat(3, 1, 1, 1)
    down, left, still = moved(images, torch.tensor([[1, 0], [0, -1], [0, 0]]))[:, 0].tolist()
    assert down == [[0, 1, 2], [0, 1, 2]]
    assert left == [[1, 2, 2], [4, 5, 5]]
    assert still == [[0, 1, 2], [3, 4, 5]]
