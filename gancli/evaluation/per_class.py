"""What is said of each class: how often it is drawn, whether on demand, and how much its images differ."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gancli.evaluation.features import Features
from gancli.evaluation.metrics.diversity import vendi_score


def agreement(generated: Sequence[Features], asked: Tensor, classes: Sequence[str]) -> dict[str, float]:
    """For each class, how many of the images that were to show it do so to the extractor; nothing without logits.

    ``asked`` are the classes ``(N,)`` that each set was drawn for, all alike.
    """
    if generated[0].logits is None:
        return {}
    right = torch.stack([each.logits.argmax(1) == asked for each in generated if each.logits is not None])
    share = right.double().mean(0)
    return {classes[label]: share[asked == label].mean().item() for label in asked.unique().tolist()}


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
