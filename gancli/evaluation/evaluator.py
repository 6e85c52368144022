"""Generated images against held-out ones, and training images against the same for comparison."""

from collections.abc import Sequence
from functools import cache, cached_property

import torch
from torch import Tensor

from gancli.errors import UsageError, nearest
from gancli.evaluation import metrics
from gancli.evaluation.extractors import Extractor
from gancli.evaluation.features import Features, extract
from gancli.evaluation.modes import count_classes
from gancli.evaluation.report import Figure, Report
from gancli.randomness import generator

METRICS = ("fd", "kid", "precision", "recall", "density", "coverage", "modes", "class_kl")
LOWER_IS_BETTER = ("fd", "kid", "class_kl")
CLASSES = ("modes", "class_kl")
"""Metrics that need a classifier's logits, and are left out without labels."""
NEIGHBOURHOOD = ("precision", "recall", "density", "coverage")
SPLIT = "heldout"
Value = tuple[float, float | None]


class Evaluator:
    """Measures sets of generated images against one data set; what depends on real images is computed once.

    ``train_images`` and ``heldout_images`` are uint8 ``(N, C, H, W)``.
    """

    def __init__(
        self,
        extractor: Extractor,
        train_images: Tensor,
        heldout_images: Tensor,
        fingerprint: str,
        seed: int = 0,
        classes: Sequence[str] = (),
    ) -> None:
        self.extractor, self.fingerprint, self.seed, self.classes = extractor, fingerprint, seed, classes
        self._train_images, self._heldout_images = train_images, heldout_images
        self._baseline = cache(self._compute_baseline)

    def evaluate(
        self, generated: Tensor, wanted: Sequence[str] = METRICS, asked: Sequence[int] | None = None
    ) -> Report:
        """Compare uint8 images ``(N, C, H, W)`` with as many held-out ones, or all there are.

        ``asked`` are the classes ``(N,)`` that a conditional generator was asked for. Raises UsageError for an unknown
        metric or too few images.
        """
        for name in wanted:
            if name not in METRICS:
                raise UsageError(f"there is no metric {name!r}; {nearest(name, METRICS)}")
        if self._heldout.logits is None:
            wanted = [name for name in wanted if name not in CLASSES]
        n = min(len(generated), len(self._heldout_images))
        features = extract(generated[:n], self.extractor, "generated")
        values = self._measure(features, tuple(wanted))
        baseline = self._baseline(n, tuple(wanted))
        figures = [
            Figure(
                name, f"{name}_{self.extractor.name}", *values[name], baseline[name][0], n, name not in LOWER_IS_BETTER
            )
            for name in wanted
        ]
        return Report(
            figures=tuple(figures),
            extractor=self.extractor.name,
            accuracy=self.extractor.accuracy,
            split=SPLIT,
            fingerprint=self.fingerprint,
            seed=self.seed,
            warnings=tuple(self._warnings(n, wanted)),
            per_class={} if asked is None else self._agreement(features, torch.tensor(asked[:n])),
        )

    def _agreement(self, features: Features, asked: Tensor) -> dict[str, float]:
        """For each class, how many of the images that were to show it do so to the extractor."""
        if features.logits is None:
            return {}
        right = (features.logits.argmax(1) == asked).double()
        return {self.classes[label]: right[asked == label].mean().item() for label in asked.unique().tolist()}

    @cached_property
    def _heldout(self) -> Features:
        return extract(self._heldout_images, self.extractor, SPLIT)

    @cached_property
    def _train(self) -> Features:
        """Training images in a random order, as many as could ever be compared."""
        count = min(len(self._train_images), max(len(self._heldout_images), 2000))
        order = torch.randperm(len(self._train_images), generator=generator(self.seed, "baseline"))
        return extract(self._train_images[order[:count]], self.extractor, "train")

    def _compute_baseline(self, n: int, wanted: tuple[str, ...]) -> dict[str, Value]:
        train, logits = self._train, self._train.logits
        part = Features(train.values[:n], None if logits is None else logits[:n], train.extractor, train.split)
        return self._measure(part, wanted, n)

    def _measure(self, features: Features, wanted: tuple[str, ...], n: int | None = None) -> dict[str, Value]:
        heldout = self._heldout.values[: n or len(features)]
        found: dict[str, Value] = {}
        if "fd" in wanted:
            found["fd"] = (metrics.frechet_distance(features.values, heldout), None)
        if "kid" in wanted:
            scale = self._train.values.square().mean().sqrt()
            found["kid"] = metrics.kernel_distance(features.values / scale, heldout / scale, self.seed)
        if any(name in NEIGHBOURHOOD for name in wanted):
            near = metrics.neighbourhood(features.values, heldout)
            found |= {name: (getattr(near, name), None) for name in NEIGHBOURHOOD}
        if any(name in CLASSES for name in wanted):
            assert features.logits is not None and self._heldout.logits is not None
            modes, balance = count_classes(features.logits, self._heldout.logits[: n or len(features)])
            found |= {"modes": (modes, None), "class_kl": (balance, None)}
        return found

    def _warnings(self, n: int, wanted: Sequence[str]) -> list[str]:
        dimensions = self._heldout.values.shape[1]
        found = []
        if "fd" in wanted and n < 10 * dimensions:
            found.append(f"N = {n} is small for {dimensions} features: fd is mostly bias; read it beside its baseline.")
        if n > len(self._train_images):
            found.append(f"the baseline has only {len(self._train_images)} training images.")
        return found
