"""Small generators and discriminators for an autoencoder's latents ``(N, C, h, w)``, with or without classes.

The latents have unit variance. No discriminator has batch normalisation, and all allow gradient penalties.
"""

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from gancli.models.convolutional import Shape, cropped
from gancli.models.label_layers import one_hot, projected, projection

SLOPE = 0.2
"""Slope of LeakyReLU below zero."""
PATCH = 1
"""Side of the patch of latents that is one token of a transformer."""
HEAD = 32
"""Channels of one attention head."""


class Generator(nn.Module):
    """Latents with the mean and the principal axes of the real ones, which a ``body`` refines.

    ``G(z) = mean + axes z + body(z)``, where the body is zero at first. Before the axes are fitted they are random, and
    latents have unit variance.
    """

    constant = True
    """It has no state that a forward pass updates, so processes need not synchronise it."""
    mean: Tensor
    axes: Tensor
    fitted: Tensor

    def __init__(self, body: nn.Sequential, numbers: int, shape: Shape, classes: int = 0) -> None:
        super().__init__()
        self.body, self.shape, self.classes = body, shape, classes
        values = math.prod(shape)
        self.register_buffer("mean", torch.zeros(values))
        self.register_buffer("axes", torch.randn(values, numbers) / math.sqrt(numbers))
        self.register_buffer("fitted", torch.tensor(False))
        *_, last = (layer for layer in body if isinstance(layer, nn.Linear | nn.Conv2d))
        nn.init.zeros_(last.weight)
        nn.init.zeros_(cast(Tensor, last.bias))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Numbers ``(N, latent_dim)`` and labels ``(N,)``, ignored without classes -> latents ``(N, C, h, w)``."""
        begun = (self.mean + latents @ self.axes.T).unflatten(1, self.shape)
        if self.classes and labels is not None:
            latents = torch.cat([latents, one_hot(labels, self.classes).to(latents)], 1)
        return begun + self.body(latents)

    def fit(self, mean: Tensor, axes: Tensor, deviations: Tensor) -> None:
        """Take over the real latents' `principal_axes`, of all values in a row, unless that was done before."""
        if not self.fitted:
            self.mean.copy_(mean)
            self.axes.zero_()[:, : len(deviations)].copy_(axes * deviations)
            self.fitted.fill_(True)


class Discriminator(nn.Module):
    """A ``body`` that computes features, and a linear layer to one logit.

    With classes their projection is added; see `gancli.models.label_layers.projected`.
    """

    def __init__(self, body: nn.Module, features: int, classes: int = 0) -> None:
        super().__init__()
        self.body, self.logit = body, nn.Linear(features, 1)
        self.embedding = projection(classes, features)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents ``(N, C, h, w)`` and labels ``(N,)``, ignored without classes -> logits ``(N,)``."""
        features = self.body(images)
        return projected(self.logit(features).squeeze(1), features, self.embedding, labels)


class ResidualPerceptron(nn.Module):
    """x + two layers, each after LeakyReLU; the second starts at zero, in place of normalisation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(width, width), nn.Linear(width, width)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, values: Tensor) -> Tensor:
        """``(N, width)`` to the same shape."""
        return values + self.last(leaky_relu(self.first(leaky_relu(values, SLOPE)), SLOPE))


def perceptrons(
    numbers: int, shape: Shape, width: int, blocks: int, classes: int = 0
) -> tuple[Generator, Discriminator]:
    """Residual perceptrons over all values at once; fastest, and without any notion of place."""
    values = math.prod(shape)
    g = nn.Sequential(
        nn.Linear(numbers + classes, width), *(ResidualPerceptron(width) for _ in range(blocks)),
        nn.LeakyReLU(SLOPE), nn.Linear(width, values), nn.Unflatten(1, shape),
    )  # fmt: skip
    d = nn.Sequential(
        nn.Flatten(), nn.Linear(values, width), *(ResidualPerceptron(width) for _ in range(blocks)), nn.LeakyReLU(SLOPE)
    )
    return Generator(g, numbers, shape, classes), Discriminator(d, width, classes)


class Residual(nn.Module):
    """x + two 3 x 3 convolutions, each after LeakyReLU; the second starts at zero instead of normalisation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        first, last = (nn.Conv2d(channels, channels, 3, 1, 1) for _ in range(2))
        nn.init.kaiming_normal_(first.weight, SLOPE)
        nn.init.zeros_(last.weight)
        self.first, self.last = first, last

    def forward(self, maps: Tensor) -> Tensor:
        """``(N, C, H, W)`` to the same shape."""
        return maps + self.last(leaky_relu(self.first(leaky_relu(maps, SLOPE)), SLOPE))


class Cropped(nn.Module):
    """`cropped` as a layer."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.size = height, width

    def forward(self, maps: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> ``(N, C, height, width)``."""
        return cropped(maps, *self.size)


def convolutions(
    numbers: int, shape: Shape, width: int, blocks: int, classes: int = 0
) -> tuple[Generator, Discriminator]:
    """Residual blocks at half size with ``width`` channels and at full size with half as many."""
    channels, *size = shape
    half = [math.ceil(side / 2) for side in size]
    fine, coarse = width // 2, width
    first = nn.Linear(numbers + classes, coarse * half[0] * half[1])
    g = nn.Sequential(
        first, nn.Unflatten(1, (coarse, *half)), *(Residual(coarse) for _ in range(blocks)),
        nn.ConvTranspose2d(coarse, fine, 4, 2, 1), Cropped(*size), *(Residual(fine) for _ in range(blocks)),
        nn.LeakyReLU(SLOPE), nn.Conv2d(fine, channels, 3, 1, 1),
    )  # fmt: skip
    d = nn.Sequential(
        nn.Conv2d(channels, fine, 3, 1, 1), *(Residual(fine) for _ in range(blocks)),
        nn.Conv2d(fine, coarse, 3, 2, 1), *(Residual(coarse) for _ in range(blocks)),
        nn.LeakyReLU(SLOPE), nn.Flatten(), nn.Linear(coarse * half[0] * half[1], 2 * width), nn.LeakyReLU(SLOPE),
    )  # fmt: skip
    return Generator(g, numbers, shape, classes), Discriminator(d, 2 * width, classes)


class Attention(nn.Module):
    """Self-attention, written out: gradient penalties need a second derivative, which torch's fused forms lack."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = max(1, channels // HEAD)
        self.project, self.merge = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """``(N, L, channels)`` to the same shape."""
        query, key, value = self.project(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        weights = (query @ key.mT / math.sqrt(query.shape[-1])).softmax(3)
        return self.merge((weights @ value).transpose(1, 2).flatten(2))


class TransformerBlock(nn.Module):
    """Self-attention, then a perceptron per token, both residual and after layer normalisation ("pre-norm").

    Vaswani et al. 2017 (arXiv:1706.03762), section 3.1, whose normalisation comes after.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(channels), Attention(channels))
        hidden = 2 * channels
        self.perceptron = nn.Sequential(
            nn.LayerNorm(channels), nn.Linear(channels, hidden), nn.SiLU(), nn.Linear(hidden, channels)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """``(N, L, channels)`` to the same shape."""
        tokens = tokens + self.attention(tokens)
        return tokens + self.perceptron(tokens)


class Tokens(nn.Module):
    """Latents as one token a place, with what was learned of the place."""

    def __init__(self, shape: Shape, width: int) -> None:
        super().__init__()
        self.embed = nn.Linear(shape[0], width)
        self.places = nn.Parameter(0.02 * torch.randn(shape[1] * shape[2], width))

    def forward(self, maps: Tensor) -> Tensor:
        """``(N, C, h, w)`` -> ``(N, h w, width)``."""
        return self.embed(maps.flatten(2).mT) + self.places


class Maps(nn.Module):
    """Tokens back to maps."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, tokens: Tensor) -> Tensor:
        """``(N, h w, C)`` -> ``(N, C, h, w)``."""
        return tokens.mT.unflatten(2, self.size)


def transformers(
    numbers: int, shape: Shape, width: int, blocks: int, classes: int = 0
) -> tuple[Generator, Discriminator]:
    """Transformers over the places of the latents: Dosovitskiy et al. 2021 (arXiv:2010.11929), without patches."""
    channels, *size = shape
    places = math.prod(size)
    g = nn.Sequential(
        nn.Linear(numbers + classes, places * width), nn.Unflatten(1, (places, width)),
        *(TransformerBlock(width) for _ in range(blocks)), nn.LayerNorm(width),
        nn.Linear(width, channels), Maps((size[0], size[1])),
    )  # fmt: skip
    d = nn.Sequential(
        Tokens(shape, width), *(TransformerBlock(width) for _ in range(blocks)), nn.LayerNorm(width),
        nn.Flatten(), nn.Linear(places * width, 2 * width), nn.LeakyReLU(SLOPE),
    )  # fmt: skip
    return Generator(g, numbers, shape, classes), Discriminator(d, 2 * width, classes)
