"""Figures by class: how often it is drawn, whether on demand, and how much its images differ."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gancli.evaluation.features import Features
from gancli.evaluation.metrics.diversity import vendi_score


@dataclass(frozen=True)
class Demand:
    """Images that were drawn for one class, and what the extractor sees in them."""

    images: int
    """In all sets."""
    agreement: float
    """Share of them that show the class."""
    seen: str
    """The class that most of them show."""


def demands(generated: Sequence[Features], asked: Tensor, classes: Sequence[str]) -> dict[str, Demand]:
    """What a conditional generator drew for each class; nothing without logits.

    ``asked`` are the classes ``(N,)`` that each set was drawn for, the same in all sets.

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
    found = {}
    for label in asked.unique().tolist():
        these = shown[:, asked == label].flatten()
        agreement = (these == label).double().mean().item()
        found[classes[label]] = Demand(len(these), agreement, classes[int(these.mode().values)])
    return found


def recall(logits: Tensor, label: int) -> float:
    """Share of real images of one class, by their logits ``(N, K)``, that the extractor takes for it."""
    return (logits.argmax(1) == label).double().mean().item()


def diversity(
    generated: Sequence[Features], real: Features, asked: Tensor, classes: Sequence[str]
) -> dict[str, tuple[float, float]]:
    """For each class, the Vendi score of images that were to show it and of as many real ones that do."""
    if generated[0].logits is None or real.logits is None:
        return {}
    centre, seen, found = real.values.mean(0), real.logits.argmax(1), {}
    for label in asked.unique().tolist():
        theirs = real.values[seen == label] - centre
        count = min(int((asked == label).sum()), len(theirs))
        ours = [vendi_score((each.values[asked == label] - centre)[:count]) for each in generated if count]
        if ours:
            found[classes[label]] = sum(ours) / len(ours), vendi_score(theirs[:count])
    return found


def shares(generated: Sequence[Features], real: Features, classes: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Of each class its share among generated and among real images, as the extractor sees them."""
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
    """Names of so many classes that have none: their numbers, all of one length."""
    return [str(number).zfill(len(str(count - 1))) for number in range(count)]
