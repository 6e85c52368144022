"""The real images that generated ones are compared with, and figures of real images for the baseline."""

from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor

from gancli.evaluation.image_set import ImageSet, TooFewImages, require
from gancli.evaluation.metrics.base import FeaturePath, Metric, Sides
from gancli.randomness import generator

MIN_BASELINE = 2000
"""Training images for the baseline and for the scale of features, or all of them if fewer."""


class Reference:
    """Held-out images, and training images if given. Everything is computed once."""

    def __init__(self, heldout: ImageSet, train: ImageSet | None, seed: int) -> None:
        self.heldout, self.train, self.seed = heldout, train, seed
        self._parts: dict[int, ImageSet] = {}
        self._baselines: dict[tuple[str, int, int], Mapping[str, list[float]]] = {}

    @cached_property
    def order(self) -> Tensor:
        """A random order of held-out images, since files often begin with easy ones or with one class."""
        return torch.randperm(len(self.heldout), generator=generator(0, "heldout"))

    @property
    def baseline_size(self) -> int:
        """Number of training images for the baseline; 0 without training images."""
        return len(self._sampled)

    def held_out(self, n: int) -> ImageSet:
        """``n`` of the held-out images, at random."""
        if n not in self._parts:
            self._parts[n] = self.heldout if n == len(self.heldout) else self.heldout.part(self.order[:n])
        return self._parts[n]

    def training_sets(self, n: int, sets: int) -> list[ImageSet]:
        """Up to ``sets`` disjoint sets of ``n`` training images; empty without training images."""
        if not self.baseline_size:
            return []
        count = max(1, min(sets, self.baseline_size // n))
        return [self._training_part(slice(number * n, (number + 1) * n)) for number in range(count)]

    def sides(self, images: ImageSet, n: int, path: FeaturePath | None = None, number: int = 0) -> Sides:
        """These images and the real ones for a metric; ``number`` is that of the set."""
        return Sides(
            images, self.held_out(n), self.train, self._scale, self.seed, self.heldout, self._unrelated, path, number
        )

    def baseline(self, chosen: Sequence[Metric], n: int, sets: int) -> dict[str, list[float]]:
        """Each metric's values over sets of real images; empty for a metric without a real counterpart."""
        parts = self.training_sets(n, sets)
        values: dict[str, list[float]] = {}
        for metric in chosen:
            key = (metric.name, n, sets)
            if key not in self._baselines:
                self._baselines |= self._values_of_real(metric, parts, n, sets)
            values |= {metric.name: list(self._baselines[key][metric.name])}
        return values

    def _values_of_real(
        self, metric: Metric, parts: Sequence[ImageSet], n: int, sets: int
    ) -> dict[tuple[str, int, int], Mapping[str, list[float]]]:
        try:
            if metric.latents:
                results = []
            elif metric.memory:
                results = [metric.compute(self._halves(n))]
            else:
                results = [metric.compute(self.sides(each, n)) for each in parts]
        except TooFewImages:
            results = []
        names = results[0] if results else {metric.name: 0.0}
        return {(name, n, sets): {name: [float(each[name]) for each in results]} for name in names}

    def _halves(self, n: int) -> Sides:
        """One half of the held-out images against the other, for metrics about training images."""
        require(n, 2, "a baseline")
        real = self.sides(self.heldout, n).real
        odd, even = real.part(slice(1, None, 2)), real.part(slice(None, None, 2))
        return Sides(even, odd, self.train, self._scale, self.seed)

    @cached_property
    def _sampled(self) -> Tensor:
        """Indices of training images in a random order, as many as baselines need."""
        if self.train is None:
            return torch.empty(0, dtype=torch.int64)
        count = min(len(self.train), max(3 * len(self.heldout), MIN_BASELINE))
        return torch.randperm(len(self.train), generator=generator(self.seed, "baseline"))[:count]

    def _training_part(self, rows: slice) -> ImageSet:
        """These rows of the sampled training images; only their features are computed."""
        assert self.train is not None
        return self.train.part(self._sampled[rows])

    @cached_property
    def _unrelated(self) -> ImageSet | None:
        return self._training_part(slice(MIN_BASELINE)) if self.baseline_size else None

    @cached_property
    def _scale(self) -> float:
        values = (self._unrelated or self.heldout).features.values[:MIN_BASELINE]
        return values.square().mean().sqrt().item() or 1.0
