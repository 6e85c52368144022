"""Extractors by name that need neither labels nor weights of the user's."""

from typing import Literal, get_args

import torch

from gancli.evaluation.extractors.base import Extractor
from gancli.evaluation.extractors.classifier import random_extractor
from gancli.evaluation.extractors.fixed import pixel_extractor
from gancli.evaluation.extractors.imagenet import imagenet_extractor

Named = Literal["lite0", "random", "pixels"]
NAMES: tuple[str, ...] = get_args(Named)


def named_extractor(name: Named, shape: torch.Size, seed: int = 0, device: torch.device | str = "cpu") -> Extractor:
    """The extractor of that name for images of shape ``(N, C, H, W)``; ``seed`` is that of random weights."""
    if name == "lite0":
        return imagenet_extractor(device)
    return random_extractor(shape, seed, device) if name == "random" else pixel_extractor(shape, device)
