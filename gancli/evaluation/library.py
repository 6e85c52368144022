"""Evaluation as one function of tensors or features."""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from gancli.errors import UsageError
from gancli.evaluation.evaluator import Evaluator
from gancli.evaluation.extractors import Extractor, random_extractor
from gancli.evaluation.features import Features
from gancli.evaluation.report import Report

Given = Tensor | Features


def evaluate(
    generated: Given | Sequence[Given],
    real: Given,
    *,
    train: Given | None = None,
    extractor: Extractor | None = None,
    metrics: str | Sequence[str] = "standard",
    seed: int = 0,
    classes: Sequence[str] = (),
) -> Report:
    """Measure generated images, or features of them, against real ones that the generator was not trained on.

    Images are ``(N, C, H, W)``, uint8 or float in [-1, 1]; a float matrix ``(N, d)``, or `Features`, is taken as
    features. Several ``generated`` sets give means with standard errors. ``train`` are other real images, most useful
    those that the generator was trained on: they give the baseline, and tell whether it copies them. Images need an
    ``extractor``; without one it is a random convolutional network. ``metrics`` are names, or the groups ``fast``,
    ``standard`` and ``full``. Raises UsageError for shapes that do not fit, and for too few images.

    >>> import torch
    >>> from gancli.evaluation import evaluate
    >>> real, fake = torch.randn(2, 500, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    >>> report = evaluate(fake, real, metrics=["precision", "coverage"])
    >>> report.figure("coverage").value > 0.9
    True
    """
    sets = [generated] if isinstance(generated, Tensor | Features) else list(generated)
    ours, theirs = [_prepared(each, "generated") for each in sets], _prepared(real, "real")
    known = None if train is None else _prepared(train, "train")
    if extractor is None:
        extractor = (
            random_extractor(theirs.shape, seed) if isinstance(theirs, Tensor) else extractor_of_features(theirs)
        )
    judge = Evaluator(extractor, known, theirs, fingerprint_of(theirs), seed, classes)
    return judge.evaluate(ours, metrics)


def fingerprint_of(images: Given) -> str:
    """16 hexadecimal digits of the content of images or features."""
    values = images if isinstance(images, Tensor) else images.values
    digest = hashlib.blake2b(str(tuple(values.shape)).encode(), digest_size=8)
    digest.update(values.contiguous().numpy().data)
    return digest.hexdigest()


def _prepared(given: Given, split: str) -> Given:
    if isinstance(given, Features):
        return given
    if given.ndim == 2 and given.is_floating_point():
        return Features(given.detach().cpu().double(), None, "given", split)
    if given.ndim != 4 or not (given.dtype == torch.uint8 or given.is_floating_point()):
        raise UsageError(
            f"{split}: a tensor {tuple(given.shape)} of {given.dtype} is neither images (N, C, H, W), uint8 or float "
            "in [-1, 1], nor features (N, d)."
        )
    if given.dtype == torch.uint8:
        return given.detach().cpu()
    if given.abs().max() > 1:
        raise UsageError(f"{split}: float images must be in [-1, 1]; the largest is {given.abs().max().item():.4g}.")
    return given.detach().cpu().add(1).mul(127.5).round().to(torch.uint8)


def extractor_of_features(features: Features) -> Extractor:
    """A stand-in that has only the name, for features that were computed before."""
    name = features.extractor
    return Extractor(name, torch.nn.Identity(), None, "fid" if name.startswith("inception_") else "fd")
