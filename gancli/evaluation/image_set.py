"""A set of images with pixels, features and results that are computed once."""

import contextlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, normalize

from gancli.errors import FileFormatError, UsageError, counted
from gancli.evaluation import distances
from gancli.evaluation.extractors.base import Extractor
from gancli.evaluation.extractors.classifier import PIXEL_SIDE
from gancli.evaluation.features import Features, extract, load_features, save_features

NEIGHBOURS = 5
"""Number of nearest neighbours for neighbourhoods."""


def thumbnails(images: Tensor, side: int = PIXEL_SIDE) -> Tensor:
    """Images averaged to at most ``side`` pixels a side, centred and normalised: float64 ``(N, values)``.

    This removes brightness and contrast. ``images`` are uint8 ``(N, C, H, W)``.
    """
    height, width = (min(each, side) for each in images.shape[2:])
    parts = [adaptive_avg_pool2d(part.float(), (height, width)).flatten(1) for part in images.split(1024)]
    pooled = torch.cat(parts).double()
    return normalize(pooled - pooled.mean(1, keepdim=True), dim=1)


class TooFewImages(UsageError):
    """Too few images for a metric."""


def require(count: int, least: int, what: str) -> None:
    """TooFewImages if ``count`` is below ``least``, which ``what`` needs."""
    if count < least:
        raise TooFewImages(
            f"{counted(count, 'image')} {'is' if count == 1 else 'are'} too few for {what}; it needs {least}."
        )


class ImageSet:
    """N images of one origin, given as pixels, uint8 ``(N, C, H, W)``, with an extractor, or as features, or both.

    ``kept`` is the file where features are kept: read if it exists, else written.
    """

    def __init__(
        self,
        split: str,
        pixels: Tensor | None = None,
        extractor: Extractor | None = None,
        features: Features | None = None,
        kept: Path | None = None,
    ) -> None:
        if features is None and (pixels is None or extractor is None):
            raise UsageError(f"{split}: give images with an extractor, or features.")
        self.split, self.pixels, self._extractor, self._given, self._kept = split, pixels, extractor, features, kept
        self._nearest: dict[tuple[int, str], tuple[Tensor, Tensor]] = {}
        self._computed: dict[str, Tensor] = {}

    def __len__(self) -> int:
        if self._given is not None:
            return len(self._given)
        assert self.pixels is not None
        return len(self.pixels)

    def part(self, rows: slice | Tensor) -> "ImageSet":
        """Some of the images, with features if they are computed."""
        features = self.features.part(rows) if self._given is not None or "features" in self.__dict__ else None
        pixels = None if self.pixels is None else self.pixels[rows]
        part = ImageSet(self.split, pixels, self._extractor, features)
        part._nearest = {key: (apart[rows], places[rows]) for key, (apart, places) in self._nearest.items()}
        return part

    @cached_property
    def features(self) -> Features:
        """The features, computed when first needed."""
        if self._given is not None:
            return self._given
        assert self.pixels is not None and self._extractor is not None
        kept = self._read()
        if kept is not None:
            return kept
        computed = extract(self.pixels, self._extractor, self.split)
        self._write(computed)
        return computed

    @cached_property
    def radii(self) -> Tensor:
        """Distances of each feature to its five nearest others, ascending: float64 ``(N, 5)``."""
        return distances.nearest_others(self.features.values, NEIGHBOURS)

    @cached_property
    def thumbnails(self) -> Tensor:
        """The function `thumbnails` of the pixels, at most 16 a side."""
        assert self.pixels is not None
        return thumbnails(self.pixels)

    def once(self, what: str, compute: Callable[[], Tensor]) -> Tensor:
        """The result named ``what``, computed when first needed."""
        if what not in self._computed:
            self._computed[what] = compute()
        return self._computed[what]

    def nearest_in(self, others: "ImageSet", what: str = "features") -> tuple[Tensor, Tensor]:
        """Distances of each image to the two nearest of ``others``, and their indices, ``(N, 2)`` each.

        ``what`` is "features" or "pixels". TooFewImages if there are fewer than two others.
        """
        key = (id(others), what)
        if key not in self._nearest:
            sides = (
                (self.thumbnails, others.thumbnails)
                if what == "pixels"
                else (self.features.values, others.features.values)
            )
            require(len(others), 2, "a comparison with training images")
            self._nearest[key] = distances.nearest(*sides, k=2)
        return self._nearest[key]

    def _read(self) -> Features | None:
        if self._kept is None or self._extractor is None or not self._kept.exists():
            return None
        try:
            features = load_features(self._kept)
        except FileFormatError:
            return None
        return features if features.extractor == self._extractor.name and len(features) == len(self) else None

    def _write(self, features: Features) -> None:
        if self._kept is not None:
            with contextlib.suppress(OSError):  # it is only a cache
                save_features(self._kept, features)
