"""Choose the evaluator and the feature extractor for a data set."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch

from gancli.data import DataSet
from gancli.errors import UsageError, nearest
from gancli.evaluation import POINT_METRICS, Evaluator, Extractor, MixtureEvaluator, extractor_for, metrics
from gancli.evaluation.extractors import pretrained
from gancli.evaluation.extractors.fixed import per_channel
from gancli.evaluation.extractors.named import NAMES, Named, named_extractor
from gancli.evaluation.per_condition import KnownConditions
from gancli.files.user_cache import user_cache

POINTS = 2500
"""Points drawn to count modes, as in the papers."""
MIN_HELDOUT = 6
"""Images that the fast group needs on each side, for neighbourhoods of five."""
OFFLINE = ("auto", *NAMES)
AnyEvaluator = Evaluator | MixtureEvaluator


@dataclass(frozen=True)
class ExtractorChoice:
    """The extractor that ``--extractor`` and ``--weights`` ask for."""

    name: str = "auto"
    """``auto``: a classifier of the training images, or for those without labels, ImageNet features (``lite0``)."""
    weights: Path | None = None

    def __post_init__(self) -> None:
        allowed = (*OFFLINE, *pretrained.LOADERS)
        if self.name not in allowed:
            raise UsageError(f"--extractor {self.name!r}: {nearest(self.name, allowed)}")
        if self.name in OFFLINE and self.weights:
            raise UsageError(f"--weights are for {', '.join(pretrained.LOADERS)}; --extractor {self.name} has none.")
        if self.name not in OFFLINE and not self.weights:
            raise UsageError(f"--extractor {self.name} needs --weights FILE; gancli downloads none.")


AUTO = ExtractorChoice()


def feature_cache() -> Path:
    """Folder of trained feature extractors and of real images' features."""
    return user_cache("features")


def evaluator_for(
    dataset: DataSet,
    device: torch.device,
    seed: int,
    most: int | None = None,
    choice: ExtractorChoice = AUTO,
) -> tuple[AnyEvaluator, int]:
    """The evaluator of such images or points, and how many generated ones it compares: ``most`` at most."""
    if dataset.mixture:
        mixture = dataset.mixture
        points = dataset.heldout.images.flatten(1) * mixture.scale
        centres = torch.tensor(mixture.centres)
        evaluator = MixtureEvaluator(dataset.name, centres, mixture.sigma, points, dataset.fingerprint, seed)
        return evaluator, min(most or POINTS, len(points))
    count = min(most or len(dataset.heldout), len(dataset.heldout))
    extractor = choose_extractor(dataset, device, choice)
    train, heldout = dataset.train.images, dataset.heldout.images
    labels = dataset.train.labels, dataset.heldout.labels
    known = (labels[0], labels[1]) if labels[0] is not None and labels[1] is not None else None
    images = Evaluator(
        extractor, train, heldout, dataset.fingerprint, seed, dataset.classes, feature_cache(), known,
        _conditions(dataset),
    )  # fmt: skip
    return images, count


def _conditions(dataset: DataSet) -> KnownConditions | None:
    train, heldout = dataset.train.conditions, dataset.heldout.conditions
    if dataset.conditions is None or train is None or heldout is None:
        return None
    return KnownConditions(dataset.conditions.names, train, heldout)


def unseen(choice: ExtractorChoice, trained_on: str | None, dataset: DataSet) -> ExtractorChoice:
    """The choice, but where ``auto`` would mean the features that a recipe's D trained on, random convolutions."""
    labelled = bool(dataset.classes or dataset.channels or dataset.mixture)
    return ExtractorChoice("random") if choice.name == "auto" and trained_on == "lite0" and not labelled else choice


def choose_extractor(dataset: DataSet, device: torch.device, choice: ExtractorChoice) -> Extractor:
    """Build the extractor for images like the data set's; FileFormatError if its weights cannot be used."""
    if choice.name == "auto" and dataset.channels is not None:
        return per_channel(choose_extractor(dataset.channels, device, choice))
    train, heldout = dataset.train, dataset.heldout
    if choice.name == "auto":
        return extractor_for(
            train.images, train.labels, heldout.images, heldout.labels, dataset.fingerprint, device, feature_cache()
        )
    if choice.name in NAMES:
        return named_extractor(cast(Named, choice.name), train.images.shape, device=device)
    assert choice.weights is not None
    return pretrained.load(choice.name, choice.weights, device)


def best_metric_of(asked: str, dataset: DataSet) -> str:
    """The short name of the figure that chooses the best checkpoint; ``auto`` is ``fd``, or ``reverse_kl`` of points.

    Raises UsageError for a figure that is not measured during training on such data.
    """
    names: tuple[str, ...] = POINT_METRICS
    if dataset.mixture is None:
        labelled = bool(dataset.classes or dataset.channels)
        measured, _ = metrics.choose("fast", labelled)
        names = tuple(metric.name for metric in measured if labelled or not metric.logits)
    if asked == "auto":
        return names[0]
    if asked not in names:
        raise UsageError(f"--best-metric {asked!r} is not measured during training; {nearest(asked, names)}")
    return asked
