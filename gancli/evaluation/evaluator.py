"""Generated images against held-out ones, and training images against the same for comparison."""

import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from gancli.errors import UsageError
from gancli.evaluation import feasible, findings, metrics, per_class
from gancli.evaluation.extractors.base import Extractor
from gancli.evaluation.features import Features
from gancli.evaluation.image_set import ImageSet, TooFewImages, require
from gancli.evaluation.metrics.base import FeaturePath, Metric, Sides
from gancli.evaluation.report import Report, figure_of
from gancli.randomness import generator

LEAST_BASELINE = 2000
"""Training images that are drawn for the baseline and the features' scale, at least, if there are so many."""
ENOUGH_OF_A_CLASS = 10
"""Held-out images by which it is told whether the extractor recognises a class."""
MAX_RECOGNISED = 200
"""Training images that tell it where fewer are held out."""
Generated = Tensor | Features | ImageSet


class Evaluator:
    """Measures sets of generated images against one data set; what depends on real images is computed once.

    ``train`` and ``heldout`` are uint8 ``(N, C, H, W)``, or `ImageSet` where there are features alone; without
    ``train`` there is no baseline and nothing about memorisation. ``cache`` is a folder for real images' features,
    ``labels`` are the classes of training and held-out images, int64 ``(N,)`` each.
    """

    def __init__(
        self,
        extractor: Extractor,
        train: "Generated | None",
        heldout: "Generated",
        fingerprint: str,
        seed: int = 0,
        classes: Sequence[str] = (),
        cache: Path | None = None,
        labels: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        self.extractor, self.fingerprint, self.seed, self.classes = extractor, fingerprint, seed, classes
        self.cache, self.labels = cache, labels
        self.heldout = self._image_set(heldout, "heldout")
        self.train = None if train is None else self._image_set(train, "train")
        self._parts: dict[int, ImageSet] = {}
        self._baselines: dict[tuple[str, int, int], Mapping[str, list[float]]] = {}

    def evaluate(
        self,
        generated: Generated | Sequence[Generated],
        wanted: str | Sequence[str] = "fast",
        asked: Sequence[int] | None = None,
        path: FeaturePath | None = None,
        source: str = "",
        data: str = "",
    ) -> Report:
        """Compare one or several sets of uint8 images ``(N, C, H, W)``, or of features, with as many held-out ones.

        Sets are cut to the size of the smallest, or to all that is held out. ``asked`` are the classes ``(N,)`` that a
        conditional generator was asked for, in each set alike; ``path`` gives what ``ppl`` needs. Raises UsageError
        for an unknown metric, for one by name that cannot be computed, or for too few images.
        """
        sets = [self._image_set(each, "generated") for each in _as_list(generated)]
        n = min(len(self.heldout), *map(len, sets))
        sets = [each if len(each) == n else each.part(slice(n)) for each in sets]
        seconds: dict[str, float] = {}
        with _timed(seconds, "features of generated images"):
            self._require_same_features(sets)
        chosen, named = metrics.choose(wanted, labelled=self.heldout.features.logits is not None)
        chosen, notes = feasible.possible(chosen, named, sets, self.heldout, self.train, path)
        tried = [self._measure(self._sides(each, n, path, number), chosen, seconds) for number, each in enumerate(sets)]
        chosen, found, more_notes = _sorted_out(chosen, named, tried)
        with _timed(seconds, "baseline"):
            real = self._baseline(chosen, n, len(sets))
        figures = [
            figure_of(
                m.name, self._full_name(m), [each[m.name] for each in found], real.get(m.name, []), n, m.better,
                m.distance,
            )
            for m in chosen
        ]  # fmt: skip
        features = [each.features for each in sets]
        shares = per_class.shares(features, self.heldout.features, self.classes)
        demands, diversity = ({}, {}) if asked is None else self._by_class(features, torch.tensor(asked[:n]))
        few = feasible.warnings(chosen, n, features[0].values.shape[1], len(sets), len(self._sampled))
        return Report(
            figures=tuple(figures),
            extractor=self.extractor.name,
            accuracy=self.extractor.accuracy,
            split=self.heldout.split,
            fingerprint=self.fingerprint,
            seed=self.seed,
            warnings=(*notes, *more_notes, *few, *feasible.explanations(figures)),
            per_class={name: each.agreement for name, each in demands.items()},
            class_diversity=diversity,
            shares=shares,
            findings=findings.find(
                {each.metric: each for each in figures}, shares, n * len(sets), demands, self._recalls(demands)
            ),
            seconds={name: round(value, 3) for name, value in seconds.items()},
            generated=source,
            data=data,
        )

    def counterparts(self, n: int) -> tuple[ImageSet, ImageSet | None]:
        """``n`` of the held-out images, and as many training images for the baseline, if there are training images."""
        n = min(n, len(self.heldout))
        return self._held_out(n), next(iter(self._real_sets(n, 1)), None)

    def _image_set(self, images: Generated, split: str) -> ImageSet:
        if isinstance(images, ImageSet):
            return images
        if isinstance(images, Features):
            return ImageSet(split, features=images)
        kept = None
        if self.cache is not None and split != "generated":
            kept = self.cache / f"{split}-{self.fingerprint}-{self.extractor.name}.npz"
        return ImageSet(split, images, self.extractor, kept=kept)

    def _require_same_features(self, sets: Sequence[ImageSet]) -> None:
        theirs = self.heldout.features
        for each in sets:
            ours = each.features
            if not ours.values.isfinite().all():
                raise UsageError("the features of generated images are not all finite numbers.")
            if ours.extractor != theirs.extractor or ours.values.shape[1] != theirs.values.shape[1]:
                raise UsageError(
                    f"features of {ours.extractor} ({ours.values.shape[1]} values) cannot be compared with those of "
                    f"{theirs.extractor} ({theirs.values.shape[1]}); extract both alike."
                )

    def _full_name(self, metric: Metric) -> str:
        name = self.extractor.distance_name if metric.name == "fd" else metric.name
        return f"{name}_{'pixels' if metric.pixels else self.heldout.features.extractor}"

    def _by_class(
        self, features: Sequence[Features], asked: Tensor
    ) -> tuple[dict[str, per_class.Demand], dict[str, tuple[float, float]]]:
        """What was drawn for each class, and its diversity beside that of real images."""
        real = self.heldout.features.part(self._order)
        demands = per_class.demands(features, asked, self.classes)
        return demands, per_class.diversity(features, real, asked, self.classes)

    def _recalls(self, demands: Mapping[str, per_class.Demand]) -> dict[str, float]:
        """Share of each class's real images that the extractor recognises: held-out ones, or training ones if few."""
        if self.labels is None or self.train is None:
            return {}
        found = {}
        for name in demands:
            label = self.classes.index(name)
            train, heldout = ((labels == label).nonzero().flatten() for labels in self.labels)
            few = len(heldout) < ENOUGH_OF_A_CLASS
            logits = (self.train.part(train[:MAX_RECOGNISED]) if few else self.heldout.part(heldout)).features.logits
            if logits is not None and len(logits):
                found[name] = per_class.recall(logits, label)
        return found

    @cached_property
    def _order(self) -> Tensor:
        """Held-out images at random, since files often have the easy ones, or one class, first."""
        return torch.randperm(len(self.heldout), generator=generator(0, "heldout"))

    @cached_property
    def _sampled(self) -> Tensor:
        """Places of training images in a random order, as many as baselines need."""
        if self.train is None:
            return torch.empty(0, dtype=torch.int64)
        count = min(len(self.train), max(3 * len(self.heldout), LEAST_BASELINE))
        return torch.randperm(len(self.train), generator=generator(self.seed, "baseline"))[:count]

    def _training_part(self, rows: slice) -> ImageSet:
        """Of those; features are computed of these alone, unless all are known."""
        assert self.train is not None
        return self.train.part(self._sampled[rows])

    @cached_property
    def _unrelated(self) -> ImageSet | None:
        return self._training_part(slice(LEAST_BASELINE)) if len(self._sampled) else None

    @cached_property
    def _scale(self) -> float:
        values = (self._unrelated or self.heldout).features.values[:LEAST_BASELINE]
        return values.square().mean().sqrt().item() or 1.0

    def _sides(self, images: ImageSet, n: int, path: FeaturePath | None = None, number: int = 0) -> Sides:
        return Sides(
            images, self._held_out(n), self.train, self._scale, self.seed, self.heldout, self._unrelated, path, number
        )

    def _held_out(self, n: int) -> ImageSet:
        if n not in self._parts:
            self._parts[n] = self.heldout if n == len(self.heldout) else self.heldout.part(self._order[:n])
        return self._parts[n]

    def _measure(
        self, sides: Sides, wanted: Sequence[Metric], seconds: dict[str, float]
    ) -> dict[str, float | TooFewImages]:
        """Of each metric its figure, or what it lacks."""
        found: dict[str, float | TooFewImages] = {}
        for metric in wanted:
            if metric.name not in found:
                with _timed(seconds, metric.name):
                    try:
                        found |= metric.compute(sides)
                    except TooFewImages as error:
                        found[metric.name] = error
        return found

    def _baseline(self, chosen: Sequence[Metric], n: int, sets: int) -> dict[str, list[float]]:
        """Of each metric the values over sets of real images; none for what has no real counterpart."""
        parts = self._real_sets(n, sets)
        found: dict[str, list[float]] = {}
        for metric in chosen:
            key = (metric.name, n, sets)
            if key not in self._baselines:
                self._baselines |= self._values_of_real(metric, parts, n, sets)
            found |= {metric.name: list(self._baselines[key][metric.name])}
        return found

    def _values_of_real(
        self, metric: Metric, parts: Sequence[ImageSet], n: int, sets: int
    ) -> dict[tuple[str, int, int], Mapping[str, list[float]]]:
        try:
            if metric.latents:
                results = []
            elif metric.memory:
                results = [metric.compute(self._halves(n))]
            else:
                results = [metric.compute(self._sides(each, n)) for each in parts]
        except TooFewImages:
            results = []
        names = results[0] if results else {metric.name: 0.0}
        return {(name, n, sets): {name: [float(each[name]) for each in results]} for name in names}

    def _halves(self, n: int) -> Sides:
        """Held-out images in place of generated ones, against the others, for what is about training images."""
        require(n, 2, "a baseline")
        real = self._sides(self.heldout, n).real
        odd, even = real.part(slice(1, None, 2)), real.part(slice(None, None, 2))
        return Sides(even, odd, self.train, self._scale, self.seed)

    def _real_sets(self, n: int, sets: int) -> list[ImageSet]:
        if not len(self._sampled):
            return []
        count = max(1, min(sets, len(self._sampled) // n))
        return [self._training_part(slice(number * n, (number + 1) * n)) for number in range(count)]


class _timed:
    """Adds the seconds that a block takes to an entry."""

    def __init__(self, seconds: dict[str, float], name: str) -> None:
        self.seconds, self.name = seconds, name

    def __enter__(self) -> None:
        self.began = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        self.seconds[self.name] = self.seconds.get(self.name, 0.0) + time.perf_counter() - self.began


def _sorted_out(
    chosen: Sequence[Metric], named: set[str], found: Sequence[Mapping[str, float | TooFewImages]]
) -> tuple[list[Metric], list[dict[str, float]], list[str]]:
    """The metrics that have figures, those of each set, and notes on metrics that lacked images.

    TooFewImages if a metric that was named does, or if all do.
    """
    lacking = {m.name: lack for m in chosen if isinstance(lack := found[0][m.name], TooFewImages)}
    reasons: dict[str, list[str]] = {}
    for name, lack in lacking.items():
        if name in named or len(lacking) == len(chosen):
            raise lack
        reasons.setdefault(str(lack), []).append(name)
    figures = [{n: value for n, value in each.items() if not isinstance(value, TooFewImages)} for each in found]
    notes = [f"left out: {', '.join(names)}. {reason}" for reason, names in reasons.items()]
    return [metric for metric in chosen if metric.name not in lacking], figures, notes


def _as_list(generated: Generated | Sequence[Generated]) -> list[Generated]:
    found: list[Generated] = [generated] if isinstance(generated, Tensor | Features | ImageSet) else list(generated)
    if not found:
        raise UsageError("give at least one set of generated images.")
    return found
