"""Features along short steps between latents, for the smoothness of a generator."""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from gancli.evaluation import Extractor
from gancli.evaluation.metrics.base import FeaturePath
from gancli.evaluation.metrics.smoothness import STEP
from gancli.randomness import generator

BATCH = 64


def feature_path(network: nn.Module, extractor: Extractor, latent_dim: int, classes: int, seed: int) -> FeaturePath:
    """What `metrics.smoothness` asks for: features at t and at t + step on the arcs between pairs of latents.

    The two ends of a step are drawn for the same class. Nothing is rounded to pixels in between.
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


def arc(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Latents a share ``t`` ``(N, 1)`` of the way from a to b, ``(N, d)``, by angle and by length."""
    start, end = normalize(a, dim=1), normalize(b, dim=1)
    angle = (start * end).sum(1, keepdim=True).clamp(-1, 1).acos()
    direction = (((1 - t) * angle).sin() * start + (t * angle).sin() * end) / angle.sin().clamp_min(1e-6)
    return direction * torch.lerp(a.norm(dim=1, keepdim=True), b.norm(dim=1, keepdim=True), t)


def _features(network: nn.Module, extractor: Extractor, latents: Tensor, labels: Tensor | None) -> Tensor:
    device = next(network.parameters()).device
    found = []
    for start in range(0, len(latents), BATCH):
        rows = slice(start, start + BATCH)
        images = network(latents[rows].to(device), None if labels is None else labels[rows].to(device))
        values, _ = extractor.network(images.float())
        found.append(values.double().cpu())
    return torch.cat(found)
