"""Features along short steps between latents, for the smoothness of a generator."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gancli.data.conditions import Label, default_labels
from gancli.evaluation import Extractor
from gancli.evaluation.metrics.base import FeaturePath
from gancli.evaluation.metrics.smoothness import STEP
from gancli.randomness import generator
from gancli.sampling.latents import arc
from gancli.sampling.styles import has_styles

BATCH = 64
"""Images per forward pass."""


def feature_path(
    network: nn.Module, extractor: Extractor, latent_dim: int, choices: Sequence[Label], seed: int
) -> FeaturePath:
    """Features at t and at t + step on paths between pairs of latents, for `metrics.smoothness`.

    Paths are arcs, or lines between the styles of generators that have them: the paper's Z and W. Both ends of a step
    have the same label and noise. Images are not rounded to pixels.
    """
    device = next(network.parameters()).device

    @torch.inference_mode()
    def features(count: int, number: int) -> tuple[Tensor, Tensor]:
        drawn = generator(seed, "latent-path", number)
        a, b = torch.randn(2, count, latent_dim, generator=drawn)
        t = torch.rand(count, 1, generator=drawn)
        return _both_ends(network, extractor, (a, b, t), _labels(0, count, choices))

    @torch.inference_mode()
    def of_styles(count: int, number: int) -> tuple[Tensor, Tensor]:
        drawn, parts = generator(seed, "latent-path", number), []
        for start in range(0, count, BATCH):  # with noise, all latents at once might not fit into memory
            rows = min(BATCH, count - start)
            a, b = torch.randn(2, rows, latent_dim, generator=drawn).to(device)
            t = torch.rand(rows, 1, 1, generator=drawn).to(device)
            labels = _labels(start, rows, choices)
            parts.append(_styled_ends(network, extractor, (a, b, t), None if labels is None else labels.to(device)))
        return torch.cat([first for first, _ in parts]), torch.cat([second for _, second in parts])

    return of_styles if has_styles(network) else features


def _labels(start: int, count: int, choices: Sequence[Label]) -> Tensor | None:
    labels = default_labels(range(start, start + count), choices)
    return None if labels is None else torch.tensor(labels)


def _both_ends(
    network: nn.Module, extractor: Extractor, path: tuple[Tensor, Tensor, Tensor], labels: Tensor | None
) -> tuple[Tensor, Tensor]:
    device, (a, b, t) = next(network.parameters()).device, path

    def features(latents: Tensor) -> Tensor:
        parts = []
        for start in range(0, len(latents), BATCH):
            rows = slice(start, start + BATCH)
            images = network(latents[rows].to(device), None if labels is None else labels[rows].to(device))
            parts.append(_features(extractor, images))
        return torch.cat(parts)

    return features(arc(a, b, t)), features(arc(a, b, t + STEP))


def _styled_ends(
    network: Any, extractor: Extractor, path: tuple[Tensor, Tensor, Tensor], labels: Tensor | None
) -> tuple[Tensor, Tensor]:
    a, b, t = path
    first, last = network.mapping(a, labels), network.mapping(b, labels)
    styles = [torch.lerp(first, last, place) for place in (t, t + STEP)]
    start, end = (_features(extractor, network.synthesis(each, a)) for each in styles)
    return start, end


def _features(extractor: Extractor, images: Tensor) -> Tensor:
    return extractor.network(images.float())[0].double().cpu()
