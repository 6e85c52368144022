"""The contract of a feature extractor."""

import hashlib
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Extractor:
    """A feature network, with its name and accuracy for reports."""

    name: str
    """Kind and first digits of a hash of the weights, such as ``lenet_1a2b``."""
    network: nn.Module
    """Float images ``(N, C, H, W)`` in [-1, 1] -> features ``(N, 64)`` and logits ``(N, classes)`` or None."""
    accuracy: float | None
    """Accuracy on held-out labels; None without labels."""
    distance_name: str = "fd"
    """Name of the Frechet distance of these features; ``fid`` only for the paper's Inception network."""


def hash_of(network: nn.Module) -> str:
    """The first 4 hexadecimal digits of a hash of the weights."""
    digest = hashlib.sha256()
    for value in network.state_dict().values():
        digest.update(value.cpu().contiguous().numpy().data)
    return digest.hexdigest()[:4]
