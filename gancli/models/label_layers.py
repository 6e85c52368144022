"""The first layer that labels pass: for the class of an image, or for the conditions that describe it."""

import torch
from torch import Tensor, nn


def label_values(labels: Tensor, classes: int) -> Tensor:
    """Classes int64 ``(N,)`` -> one-hot ``(N, classes)``; conditions float ``(N, K)`` unchanged."""
    return labels if labels.is_floating_point() else one_hot(labels, classes)


def embedding(classes: int, conditions: int, size: int) -> nn.Embedding | nn.Linear | None:
    """A layer from classes int64 ``(N,)``, or from conditions float ``(N, K)``, to ``(N, size)``; None without both."""
    if conditions:
        return nn.Linear(conditions, size)
    return nn.Embedding(classes, size) if classes else None


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """Labels ``(N,)`` -> int64 ``(N, classes)``; unlike torch's `one_hot`, it does not make a GPU wait."""
    return (labels[:, None] == torch.arange(classes, device=labels.device)).long()
