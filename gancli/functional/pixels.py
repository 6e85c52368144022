"""Pixels: uint8 in [0, 255] and floats in [-1, 1]."""

import torch
from torch import Tensor


def to_pixels(images: Tensor) -> Tensor:
    """Float images in [-1, 1] to uint8 of the same shape, rounded to the nearest of 256 levels.

    Example:
        >>> to_pixels(torch.tensor([-1.0, 0.0, 1.0, 2.0])).tolist()
        [0, 128, 255, 255]
    """
    return images.float().clamp(-1, 1).add_(1).mul_(127.5).round_().to(torch.uint8)


def to_floats(images: Tensor, device: torch.device) -> Tensor:
    """uint8 pixels to floats in [-1, 1] on the device.

    Example:
        >>> to_floats(torch.tensor([0, 255], dtype=torch.uint8), torch.device("cpu")).tolist()
        [-1.0, 1.0]
    """
    return images.to(device).float().div_(127.5).sub_(1)


def moved(images: Tensor, shifts: Tensor) -> Tensor:
    """Images ``(N, C, H, W)``, each moved down and right by whole pixels, int64 ``(N, 2)``; borders are repeated.

    Example:
        >>> moved(torch.tensor([[[[1.0, 2.0, 3.0]]]]), torch.tensor([[0, 1]])).flatten().tolist()
        [1.0, 1.0, 2.0]
    """
    for axis in (2, 3):
        side = images.shape[axis]
        places = (torch.arange(side, device=images.device) - shifts[:, axis - 2, None]).clamp(0, side - 1)
        shape = (len(images), 1, side, 1) if axis == 2 else (len(images), 1, 1, side)
        images = images.gather(axis, places.view(shape).expand_as(images))
    return images
