"""Choose the metrics that can be computed from the given images, and warn of unreliable figures."""

from collections.abc import Sequence

from gancli.errors import UsageError
from gancli.evaluation.image_set import ImageSet
from gancli.evaluation.metrics.base import FeaturePath, Metric
from gancli.evaluation.report import Figure


def possible(
    chosen: Sequence[Metric],
    named: set[str],
    sets: Sequence[ImageSet],
    heldout: ImageSet,
    train: ImageSet | None,
    path: FeaturePath | None,
) -> tuple[list[Metric], list[str]]:
    """The metrics that can be computed, and notes on the others; UsageError for one that the user named."""
    everything = [heldout, *sets]
    lacks = {
        "logits": "labelled data" if any(each.features.logits is None for each in everything) else "",
        "pixels": "the images, not features alone" if any(each.pixels is None for each in everything) else "",
        "memory": "training images" if train is None else "",
        "unrelated": "training images" if train is None else "",
        "latents": "a generator (--ckpt)" if path is None else "",
    }
    feasible: list[Metric] = []
    missing: dict[str, list[str]] = {}
    for metric in chosen:
        lacking = next((what for need, what in lacks.items() if what and getattr(metric, need)), None)
        if metric.pixels and (metric.memory or metric.unrelated) and not lacking and train and train.pixels is None:
            lacking = "the training images, not features alone"
        if lacking is None:
            feasible.append(metric)
        elif metric.name in named:
            raise UsageError(f"{metric.name} cannot be computed here: it needs {lacking}.")
        else:
            missing.setdefault(lacking, []).append(metric.name)
    return feasible, [f"left out without {lacking}: {', '.join(names)}." for lacking, names in missing.items()]


def warnings(chosen: Sequence[Metric], n: int, dimensions: int, sets: int, baseline: int) -> list[str]:
    """Warnings of too few images.

    Args:
        chosen: The metrics.
        n: Images per set.
        dimensions: Features per image.
        sets: Number of generated sets.
        baseline: Number of training images for the baseline.
    """
    texts = []
    biased = [m.name for m in chosen if n < m.per_dimension * dimensions]
    if biased:
        texts.append(
            f"N = {n} is small for {dimensions} features: {', '.join(biased)} is mostly bias; "
            "read it beside its baseline."
        )
    few = [m.name for m in chosen if n < m.enough and m.name not in biased]
    if few:
        texts.append(f"N = {n} is small for {', '.join(few)}; read the error bars.")
    if sets == 1:
        texts.append("one generated set has no error bars.")
    if not baseline:
        texts.append("without training images there is no baseline.")
    elif n > baseline:
        texts.append(f"the baseline has only {baseline} training images.")
    return texts


def explanations(figures: Sequence[Figure]) -> list[str]:
    """Notes on figures that look wrong but are not."""
    if not any(figure.metric == "kid" and min(figure.value, figure.baseline or 0) < 0 for figure in figures):
        return []
    return ["a kid below 0 means 0: the estimate is unbiased, so that it falls on either side where images are alike."]
