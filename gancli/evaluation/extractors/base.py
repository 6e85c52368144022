"""The feature extractor: a network and its name."""

import hashlib
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Extractor:
    """A feature network, with its name and accuracy, which reports show beside its figures."""

    name: str
    """Kind and the first digits of a hash of the weights, e.g. ``lenet_1a2b``."""
    network: nn.Module
    """Float images ``(N, C, H, W)`` in [-1, 1] -> features ``(N, 64)`` and logits ``(N, classes)`` or None."""
    accuracy: float | None
    """On the held-out labels; None without labels."""
    distance_name: str = "fd"
    """What the Frechet distance of these features is called; ``fid`` for the Inception network of the paper alone."""


def hash_of(network: nn.Module) -> str:
    """The first 4 hexadecimal digits of a hash of its weights."""
    digest = hashlib.sha256()
    for value in network.state_dict().values():
        digest.update(value.cpu().contiguous().numpy().data)
    return digest.hexdigest()[:4]
