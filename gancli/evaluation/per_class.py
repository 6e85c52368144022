"""Figures by class: share of images, agreement with the requested class, and diversity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gancli.evaluation.features import Features
from gancli.evaluation.image_set import ImageSet
from gancli.evaluation.metrics.diversity import vendi_score

ENOUGH_OF_A_CLASS = 10
"""With fewer held-out images of a class, training images show how well the extractor recognises it."""
MAX_RECOGNISED = 200
"""Training images of a class for that."""


@dataclass(frozen=True)
class Demand:
    """Images drawn for one class, as classified by the extractor."""

    images: int
    """Number of images in all sets."""
    agreement: float
    """Share of them that is classified as this class."""
    seen: str
    """The most frequent class among them."""


@dataclass(frozen=True)
class ByClass:
    """All figures by class; empty without labels, ``demands`` to ``recalls`` also without a conditional generator."""

    shares: Mapping[str, tuple[float, float]]
    """Share of each class among generated and among real images."""
    demands: Mapping[str, Demand] = field(default_factory=dict)
    diversity: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Vendi score of each class's generated and real images."""
    recalls: Mapping[str, float] = field(default_factory=dict)
    """Share of each class's real images that the extractor recognises."""


def demands(generated: Sequence[Features], asked: Tensor, classes: Sequence[str]) -> dict[str, Demand]:
    """The images drawn for each class; empty without logits.

    ``asked`` are the requested classes ``(N,)``, the same in all sets.

    Example:
        >>> logits = torch.eye(2).double()[[0, 1, 1, 1]]
        >>> images = Features(torch.zeros(4, 1), logits, "lenet_1a2b", "generated")
        >>> demands([images], torch.tensor([0, 0, 0, 1]), ("dark", "bright"))["dark"].seen
        'bright'
    """
    logits = [each.logits for each in generated if each.logits is not None]
    if not logits:
        return {}
    shown = torch.stack([each.argmax(1) for each in logits])
    by_class = {}
    for label in asked.unique().tolist():
        these = shown[:, asked == label].flatten()
        agreement = (these == label).double().mean().item()
        by_class[classes[label]] = Demand(len(these), agreement, classes[int(these.mode().values)])
    return by_class


def recall(logits: Tensor, label: int) -> float:
    """Share of one class's real images that the extractor classifies correctly, by their logits ``(N, K)``.

    Example:
        >>> recall(torch.eye(2)[[0, 0, 0, 1]], 0)
        0.75
    """
    return (logits.argmax(1) == label).double().mean().item()


def recalls(
    numbers: Mapping[str, int], labels: tuple[Tensor, Tensor], train: ImageSet, heldout: ImageSet
) -> dict[str, float]:
    """`recall` of these classes, by held-out images, or by training images if fewer than `ENOUGH_OF_A_CLASS`.

    ``numbers`` are the classes' labels by name; ``labels`` are those of training and of held-out images.
    """
    by_class = {}
    for name, label in numbers.items():
        of_train, of_heldout = ((each == label).nonzero().flatten() for each in labels)
        few = len(of_heldout) < ENOUGH_OF_A_CLASS
        logits = (train.part(of_train[:MAX_RECOGNISED]) if few else heldout.part(of_heldout)).features.logits
        if logits is not None and len(logits):
            by_class[name] = recall(logits, label)
    return by_class


def diversity(
    generated: Sequence[Features], real: Features, asked: Tensor, classes: Sequence[str]
) -> dict[str, tuple[float, float]]:
    """For each class, the Vendi scores of images drawn for it, and of as many real images of it."""
    if generated[0].logits is None or real.logits is None:
        return {}
    centre, seen, scores = real.values.mean(0), real.logits.argmax(1), {}
    for label in asked.unique().tolist():
        theirs = real.values[seen == label] - centre
        count = min(int((asked == label).sum()), len(theirs))
        ours = [vendi_score((each.values[asked == label] - centre)[:count]) for each in generated if count]
        if ours:
            scores[classes[label]] = sum(ours) / len(ours), vendi_score(theirs[:count])
    return scores


def shares(generated: Sequence[Features], real: Features, classes: Sequence[str]) -> dict[str, tuple[float, float]]:
    """The share of each class among generated and among real images, as classified by the extractor.

    Example:
        >>> generated, real = (torch.eye(2)[rows] for rows in ([0, 0, 0, 0], [0, 0, 1, 1]))
        >>> features = [Features(torch.zeros(4, 1), each, "lenet_1a2b", "") for each in (generated, real)]
        >>> shares(features[:1], features[1], ("dark", "bright"))
        {'dark': (1.0, 0.5), 'bright': (0.0, 0.5)}
    """
    logits = [each.logits for each in generated if each.logits is not None]
    if not logits or real.logits is None:
        return {}
    ours, theirs = (
        torch.bincount(each.argmax(1), minlength=each.shape[1]).double() / len(each)
        for each in (torch.cat(logits), real.logits)
    )
    names = classes if len(classes) == len(ours) else numbered(len(ours))
    return dict(zip(names, zip(ours.tolist(), theirs.tolist(), strict=True), strict=True))


def numbered(count: int) -> list[str]:
    """Names for classes without names: their numbers, all of one length.

    Example:
        >>> numbered(11)[:2]
        ['00', '01']
    """
    return [str(number).zfill(len(str(count - 1))) for number in range(count)]
