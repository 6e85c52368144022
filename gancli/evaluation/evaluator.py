"""Compare generated images with held-out ones, and training images with the same as a baseline."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from gancli.errors import UsageError
from gancli.evaluation import feasible, findings, metrics, per_class, per_condition
from gancli.evaluation.extractors.base import Extractor
from gancli.evaluation.features import Features
from gancli.evaluation.image_set import ImageSet
from gancli.evaluation.measurement import measure, timed, without_lacking
from gancli.evaluation.metrics.base import FeaturePath, Metric
from gancli.evaluation.per_class import ByClass
from gancli.evaluation.per_condition import AskedConditions, KnownConditions
from gancli.evaluation.reference import Reference
from gancli.evaluation.report import Figure, Report, figure_of

Generated = Tensor | Features | ImageSet


class Evaluator:
    """Measures sets of generated images against one data set; values of real images are computed once.

    Args:
        extractor: Computes the features.
        train: Training images, uint8 ``(N, C, H, W)``, or features alone. Without them there is no baseline, and no
            metric of memorisation.
        heldout: Real images that the generator was not trained on, in the same forms.
        fingerprint: The data set's, for the report and the cache.
        seed: Seed of random choices.
        classes: Names of the classes.
        cache: Folder for real images' features; None: they are not kept.
        labels: Classes of training and of held-out images, int64 ``(N,)`` each.
        conditions: Conditions of both, in place of classes.
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
        conditions: KnownConditions | None = None,
    ) -> None:
        self.extractor, self.fingerprint, self.seed, self.classes = extractor, fingerprint, seed, classes
        self.cache, self.labels, self.conditions = cache, labels, conditions
        self.heldout = self._image_set(heldout, "heldout")
        self.train = None if train is None else self._image_set(train, "train")
        self.reference = Reference(self.heldout, self.train, seed)

    def evaluate(
        self,
        generated: Generated | Sequence[Generated],
        wanted: str | Sequence[str] = "fast",
        asked: Sequence[int] | AskedConditions | None = None,
        path: FeaturePath | None = None,
        source: str = "",
        data: str = "",
    ) -> Report:
        """Compare one or several sets of images with as many held-out ones.

        Args:
            generated: Sets of uint8 images ``(N, C, H, W)``, or of features. All are cut to the size of the smallest,
                at most that of the held-out images.
            wanted: Metrics or groups of them.
            asked: The classes ``(N,)`` or the conditions that a conditional generator drew, the same in each set.
            path: Features along paths between latents, for ``ppl``.
            source: Where the generated images are from, for the report.
            data: Name of the data set, for the report.

        Raises:
            UsageError: a metric is unknown, a metric by name cannot be computed, or there are too few images.
        """
        sets, seconds = self._sets_of_one_size(generated), dict[str, float]()
        n = len(sets[0])
        with timed(seconds, "features of generated images"):
            self._require_same_features(sets)
        chosen, named = metrics.choose(wanted, labelled=self.heldout.features.logits is not None)
        chosen, notes = feasible.possible(chosen, named, sets, self.heldout, self.train, path)
        sides = [self.reference.sides(each, n, path, number) for number, each in enumerate(sets)]
        measured = [measure(each, chosen, seconds) for each in sides]
        chosen, values, left_out = without_lacking(chosen, named, measured)
        with timed(seconds, "baseline"):
            real = self.reference.baseline(chosen, n, len(sets))
        figures = [self._figure(m, [each[m.name] for each in values], real.get(m.name, []), n) for m in chosen]
        features = [each.features for each in sets]
        by_condition = dict[str, tuple[float, float]]()
        if isinstance(asked, AskedConditions):
            with timed(seconds, "conditions"):
                by_condition = self._by_condition(features, asked)
        by_class = self._by_class(features, None if isinstance(asked, AskedConditions) else asked)
        few = feasible.warnings(chosen, n, features[0].values.shape[1], len(sets), self.reference.baseline_size)
        warnings = (*notes, *left_out, *few, *feasible.explanations(figures))
        report = self._report(figures, by_class, n * len(sets), warnings, seconds, source, data)
        return replace(report, per_condition=by_condition)

    def counterparts(self, n: int) -> tuple[ImageSet, ImageSet | None]:
        """``n`` of the held-out images, and as many training images for the baseline, if there are training images."""
        n = min(n, len(self.heldout))
        return self.reference.held_out(n), next(iter(self.reference.training_sets(n, 1)), None)

    def _report(
        self,
        figures: Sequence[Figure],
        by_class: ByClass,
        images: int,
        warnings: tuple[str, ...],
        seconds: dict[str, float],
        source: str,
        data: str,
    ) -> Report:
        named = {each.metric: each for each in figures}
        return Report(
            figures=tuple(figures),
            extractor=self.extractor.name,
            accuracy=self.extractor.accuracy,
            split=self.heldout.split,
            fingerprint=self.fingerprint,
            seed=self.seed,
            warnings=warnings,
            per_class={name: each.agreement for name, each in by_class.demands.items()},
            class_diversity=by_class.diversity,
            shares=by_class.shares,
            findings=findings.find(named, by_class.shares, images, by_class.demands, by_class.recalls),
            seconds={name: round(value, 3) for name, value in seconds.items()},
            generated=source,
            data=data,
        )

    def _sets_of_one_size(self, generated: Generated | Sequence[Generated]) -> list[ImageSet]:
        given = [generated] if isinstance(generated, Tensor | Features | ImageSet) else list(generated)
        if not given:
            raise UsageError("give at least one set of generated images.")
        sets = [self._image_set(each, "generated") for each in given]
        n = min(len(self.heldout), *map(len, sets))
        return [each if len(each) == n else each.part(slice(n)) for each in sets]

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

    def _figure(self, metric: Metric, values: list[float], real: list[float], n: int) -> Figure:
        name = self.extractor.distance_name if metric.name == "fd" else metric.name
        full_name = f"{name}_{'pixels' if metric.pixels else self.heldout.features.extractor}"
        return figure_of(metric.name, full_name, values, real, n, metric.better, metric.distance)

    def _by_condition(self, features: Sequence[Features], asked: AskedConditions) -> dict[str, tuple[float, float]]:
        if self.conditions is None or self.train is None:
            return {}
        return per_condition.correlations(features, asked, self.conditions, self.train, self.heldout)

    def _by_class(self, features: Sequence[Features], classes: Sequence[int] | None) -> ByClass:
        shares = per_class.shares(features, self.heldout.features, self.classes)
        if classes is None:
            return ByClass(shares)
        asked = torch.tensor(classes[: len(features[0])])
        real = self.heldout.features.part(self.reference.order)
        demands = per_class.demands(features, asked, self.classes)
        diversity = per_class.diversity(features, real, asked, self.classes)
        recalls = {}
        if self.labels is not None and self.train is not None:
            numbers = {name: self.classes.index(name) for name in demands}
            recalls = per_class.recalls(numbers, self.labels, self.train, self.heldout)
        return ByClass(shares, demands, diversity, recalls)
