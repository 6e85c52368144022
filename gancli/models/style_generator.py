"""StyleGAN2's generator (Karras et al. 2020, arXiv:1912.04958): a mapping to styles, and a synthesis from them."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, leaky_relu

from gancli import whole_batch
from gancli.models.convolutional import Shape, cropped, doublings
from gancli.models.equalised import Equalised, exact, pixel_norm
from gancli.models.label_layers import label_values
from gancli.models.resampling import upsampled

MAPPING_RATE = 0.01
"""Share of the learning rate for mappings: Karras 2019 (arXiv:1812.04948), appendix C."""
SLOPE = 0.2
GAIN = math.sqrt(2)
"""Gain that keeps the variance through LeakyReLU."""


def channels_of(shape: Shape, width: int, most: int) -> list[int]:
    """Channels of the maps from the smallest to the full size, each at most ``most``."""
    times = doublings(shape)
    return [min(most, width * 2 ** (times - level)) for level in range(times + 1)]


def map_sizes(shape: Shape) -> list[tuple[int, int]]:
    """Height and width of the maps from the smallest to the full size, which may exceed the image's."""
    times = doublings(shape)
    return [tuple(math.ceil(side / 2**times) * 2**level for side in shape[1:]) for level in range(times + 1)]


def noise_sizes(shape: Shape) -> list[tuple[int, int]]:
    """Height and width of each layer's noise: one layer at the smallest size, two at each larger one."""
    first, *larger = map_sizes(shape)
    return [first, *(size for size in larger for _ in range(2))]


def noise_values(shape: Shape) -> int:
    """Number of noise values of an image, over all layers."""
    return sum(height * width for height, width in noise_sizes(shape))


class Mapping(nn.Module):
    """Latents and embedded labels, both normalised, through fully connected layers.

    The embedding of conditions begins with a random bias: normalised, a multiple of one vector shows its sign alone.
    """

    def __init__(self, latent_dim: int, style_dim: int, classes: int, layers: int, conditions: int = 0) -> None:
        super().__init__()
        self.latent_dim, self.classes, values = latent_dim, classes, classes or conditions
        self.embedding = Equalised(nn.Linear(values, style_dim), gain=1.0) if values else None
        if self.embedding is not None and conditions:
            nn.init.normal_(self.embedding.layer.bias)  # type: ignore[arg-type]
        inputs = [latent_dim + (style_dim if values else 0), *[style_dim] * (layers - 1)]
        self.layers = nn.ModuleList(Equalised(nn.Linear(n, style_dim), GAIN, MAPPING_RATE) for n in inputs)

    def forward(self, latents: Tensor | None, labels: Tensor | None) -> Tensor:
        """Latents ``(N, latent_dim)``, or more columns, which are ignored; labels -> ``(N, style_dim)``.

        Labels are classes ``(N,)`` or conditions ``(N, K)``.
        """
        parts = [] if latents is None else [pixel_norm(latents[:, : self.latent_dim])]
        if self.embedding is not None and labels is not None:
            labelled = label_values(labels, self.classes).to(self.embedding.layer.weight.dtype)
            parts.append(pixel_norm(self.embedding(labelled)))
        values = torch.cat(parts, 1)
        for layer in self.layers:
            values = leaky_relu(layer(values), SLOPE)
        return values


class Modulated(nn.Module):
    """A convolution whose weights w_ijk are scaled by a style s_i for each image and input channel: equation 1.

    Scaling the input by s_i, and the output by the demodulation, gives the same as weights for each image. On CPUs that
    takes half the time of a grouped convolution or less, and ONNX has no groups that follow the batch.
    """

    def __init__(self, style_dim: int, before: int, after: int, size: int, demodulates: bool = True) -> None:
        super().__init__()
        self.style = Equalised(nn.Linear(style_dim, before), gain=1.0)
        nn.init.ones_(self.style.layer.bias)  # type: ignore[arg-type]
        self.weight = nn.Parameter(torch.randn(after, before, size, size))
        self.scale, self.padding, self.demodulates = 1 / math.sqrt(before * size**2), size // 2, demodulates

    def forward(self, maps: Tensor, style: Tensor) -> Tensor:
        """Maps ``(N, before, H, W)``, or one for all images, and styles ``(N, style_dim)`` -> ``(N, after, H, W)``."""
        scales, weight = self.style(style), self.weight * self.scale
        maps = conv2d(maps * scales[:, :, None, None], weight, padding=self.padding)
        return maps * self._demodulation(scales, weight)[:, :, None, None] if self.demodulates else maps

    def _demodulation(self, scales: Tensor, weight: Tensor) -> Tensor:
        """1 / sqrt(sum_ik (s_i w_ijk)^2 + 1e-8) ``(N, after)``, equation 3, times `GAIN`."""
        with torch.autocast(scales.device.type, enabled=False):
            powers = exact(scales).square() @ weight.square().sum((2, 3)).T
        return (GAIN * (powers + 1e-8).rsqrt()).to(scales.dtype)


class Layer(nn.Module):
    """A modulated 3 x 3 convolution, doubling if asked for, noise, bias and LeakyReLU."""

    def __init__(self, style_dim: int, before: int, after: int, doubles: bool = False) -> None:
        super().__init__()
        self.convolution, self.doubles = Modulated(style_dim, before, after, 3), doubles
        self.strength, self.bias = nn.Parameter(torch.zeros(())), nn.Parameter(torch.zeros(after, 1, 1))

    def forward(self, maps: Tensor, style: Tensor, noise: Tensor | None) -> Tensor:
        """``(N, before, H, W)`` and noise ``(N, 1, H, W)`` -> ``(N, after, H, W)``; twice the size if doubling."""
        maps = self.convolution(maps, style)
        if self.doubles:
            maps = upsampled(maps)
        if noise is not None:
            maps = maps + (GAIN * self.strength) * noise.to(maps.dtype)
        return leaky_relu(maps + GAIN * self.bias, SLOPE)


class ToImage(nn.Module):
    """A modulated 1 x 1 convolution to an image, without demodulation: section 2.2."""

    def __init__(self, style_dim: int, before: int, after: int) -> None:
        super().__init__()
        self.convolution = Modulated(style_dim, before, after, 1, demodulates=False)
        self.bias = nn.Parameter(torch.zeros(after, 1, 1))

    def forward(self, maps: Tensor, style: Tensor) -> Tensor:
        """``(N, before, H, W)`` -> ``(N, after, H, W)``, at least float32."""
        return exact(self.convolution(maps, style)) + self.bias


class Generator(nn.Module):
    """The skip generator of section 4.1: the image is a sum of images of all sizes.

    A latent is z followed by the noise of each layer, so that an image is a function of its latent. Without ``noisy``
    it is z alone.
    """

    def __init__(
        self, style_dim: int, channels: list[int], shape: Shape, classes: int = 0,
        mapping_layers: int = 2, mixing: float = 0.9, noisy: bool = True, conditions: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.size, self.style_dim, self.mixing = shape[1:], style_dim, mixing
        self.noise_sizes = noise_sizes(shape) if noisy else []
        self.styles_per_image = 2 * len(channels)
        self.to_style = Mapping(style_dim, style_dim, classes, mapping_layers, conditions)
        self.start = nn.Parameter(torch.randn(1, channels[0], *map_sizes(shape)[0]))
        layers = [Layer(style_dim, channels[0], channels[0])]
        for before, after in pairwise(channels):
            layers += [Layer(style_dim, before, after, doubles=True), Layer(style_dim, after, after)]
        self.layers = nn.ModuleList(layers)
        self.to_image = nn.ModuleList(ToImage(style_dim, each, shape[0]) for each in channels)

    def mapping(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents ``(N, latent_dim)`` and labels as for `Mapping` -> ``(N, L, style_dim)``, the same L times."""
        return self.to_style(latents, labels)[:, None].expand(-1, self.styles_per_image, -1)

    def mixed(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Like `mapping`, but some images have a random z's styles from a random place on.

        Style mixing: Karras 2019 (arXiv:1812.04948), section 3.1.
        """
        first = latents[:, : self.style_dim].contiguous()
        other = self.mapping(whole_batch.drawn(torch.randn_like, first), labels)
        place, chance = whole_batch.drawn(torch.rand_like, first[:, :2].contiguous()).unbind(1)
        last = self.styles_per_image - 1
        begin = torch.where(chance < self.mixing, 1 + (place * last).floor(), float(last + 1))
        own = torch.arange(last + 1, device=latents.device) < begin[:, None]
        return torch.where(own[:, :, None], self.mapping(latents, labels), other)

    def synthesis(self, styles: Tensor, latents: Tensor | None = None) -> Tensor:
        """Styles ``(N, L, style_dim)`` -> unbounded images ``(N, C, H, W)``.

        Latents ``(N, latent_dim)`` are needed for their noise alone; without them there is none.
        """
        noise = iter(self._noise(latents))
        maps = self.layers[0](self.start, styles[:, 0], next(noise))
        images = self.to_image[0](maps, styles[:, 1])
        for level in range(1, len(self.to_image)):
            for number in (2 * level - 1, 2 * level):
                maps = self.layers[number](maps, styles[:, number], next(noise))
            images = upsampled(images) + self.to_image[level](maps, styles[:, 2 * level + 1])
        return cropped(images, *self.size)

    def _noise(self, latents: Tensor | None) -> list[Tensor] | list[None]:
        """The noise ``(N, 1, H, W)`` of each layer."""
        if latents is None or not self.noise_sizes:
            return [None] * len(self.layers)
        parts = latents[:, self.style_dim :].split([height * width for height, width in self.noise_sizes], 1)
        return [part.unflatten(1, (1, *size)) for part, size in zip(parts, self.noise_sizes, strict=True)]

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents ``(N, latent_dim)`` and labels -> unbounded images; in training, styles are mixed."""
        styles = self.mixed if self.training and self.mixing else self.mapping
        return self.synthesis(styles(latents, labels), latents)
