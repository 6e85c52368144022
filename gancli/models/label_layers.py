"""Layers for labels, which are the class of an image or conditions; and the projection discriminator's product."""

import math

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


def projection(classes: int, features: int) -> nn.Embedding | None:
    """A discriminator's embedding for `projected`, with vectors of about unit length at first; None without classes."""
    if not classes:
        return None
    layer = nn.Embedding(classes, features)
    nn.init.normal_(layer.weight, 0.0, 1 / math.sqrt(features))
    return layer


def projected(logits: Tensor, features: Tensor, embedding: nn.Module | None, labels: Tensor | None) -> Tensor:
    """Add the product of features and embedded label to logits: eq. 3 of Miyato and Koyama 2018 (arXiv:1802.05637).

    Logits are ``(N,)`` and features ``(N, F)``; without an embedding, the logits stay as they are.
    """
    return logits if embedding is None else logits + (embedding(labels) * features).sum(1)
