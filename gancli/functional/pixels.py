"""Pixels: uint8 in [0, 255] and floats in [-1, 1]."""

import torch
from torch import Tensor


def to_pixels(images: Tensor) -> Tensor:
    """Float images in [-1, 1] to uint8 of the same shape, rounded to the nearest of 256 levels."""
    return images.float().clamp(-1, 1).add_(1).mul_(127.5).round_().to(torch.uint8)


def to_floats(images: Tensor, device: torch.device) -> Tensor:
    """uint8 pixels to floats in [-1, 1] on the device."""
    return images.to(device).float().div_(127.5).sub_(1)
