"""Features along short steps between latents, for the smoothness of a generator."""

import torch
from torch import Tensor, nn

from gancli.evaluation import Extractor
from gancli.evaluation.metrics.base import FeaturePath
from gancli.evaluation.metrics.smoothness import STEP
from gancli.randomness import generator
from gancli.sampling.latents import arc

BATCH = 64
"""Images per forward pass."""


def feature_path(network: nn.Module, extractor: Extractor, latent_dim: int, classes: int, seed: int) -> FeaturePath:
    """Features at t and at t + step on arcs between pairs of latents, for `metrics.smoothness`.

    Both ends of a step have the same class. Images are not rounded to pixels.
    """

    @torch.inference_mode()
    def features(count: int, number: int) -> tuple[Tensor, Tensor]:
        drawn = generator(seed, "latent-path", number)
        a, b = torch.randn(2, count, latent_dim, generator=drawn)
        t = torch.rand(count, 1, generator=drawn)
        labels = torch.arange(count) % classes if classes else None
        ends = [_features(network, extractor, arc(a, b, place), labels) for place in (t, t + STEP)]
        return ends[0], ends[1]

    return features


def _features(network: nn.Module, extractor: Extractor, latents: Tensor, labels: Tensor | None) -> Tensor:
    device = next(network.parameters()).device
    parts = []
    for start in range(0, len(latents), BATCH):
        rows = slice(start, start + BATCH)
        images = network(latents[rows].to(device), None if labels is None else labels[rows].to(device))
        values, _ = extractor.network(images.float())
        parts.append(values.double().cpu())
    return torch.cat(parts)
