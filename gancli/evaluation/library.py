"""Evaluate tensors of images or features in one call."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from gancli.errors import UsageError, nearest
from gancli.evaluation.evaluator import Evaluator
from gancli.evaluation.extractors.base import Extractor
from gancli.evaluation.extractors.named import NAMES, Named, named_extractor
from gancli.evaluation.features import Features
from gancli.evaluation.report import Report

log = logging.getLogger(__name__)
Given = Tensor | Features


def evaluate(
    generated: Given | Sequence[Given],
    real: Given,
    *,
    train: Given | None = None,
    extractor: Extractor | Named | None = None,
    metrics: str | Sequence[str] = "standard",
    seed: int = 0,
    classes: Sequence[str] = (),
) -> Report:
    """Measure generated images, or features of them, against real ones that the generator was not trained on.

    Images are ``(N, C, H, W)``, uint8 or float in [-1, 1]; a float matrix ``(N, d)``, or `Features`, is taken as
    features.

    Args:
        generated: One set, or several for means with standard errors.
        real: Real images that the generator was not trained on.
        train: Other real images, best those that the generator was trained on; they give the baseline and show copies.
        extractor: Computes features of images: an object, ``"lite0"`` (EfficientNet-Lite0), ``"random"`` or
            ``"pixels"``; None: a random convolutional network.
        metrics: Names, or the groups ``fast``, ``standard`` and ``full``.
        seed: Seed of random choices.
        classes: Names of the extractor's classes.

    Raises:
        UsageError: shapes do not match, there are too few images, or no extractor has that name.

    >>> import torch
    >>> from gancli.evaluation import evaluate
    >>> real, fake = torch.randn(2, 500, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    >>> report = evaluate(fake, real, metrics=["precision", "coverage"])
    >>> report.figure("coverage").value > 0.9
    True
    """
    sets = list(generated) if isinstance(generated, Sequence) else [generated]
    ours, theirs = [_prepared(each, "generated") for each in sets], _prepared(real, "real")
    known = None if train is None else _prepared(train, "train")
    _require_one_shape([*ours, theirs, known])
    chosen = extractor if isinstance(extractor, Extractor) else _extractor_called(extractor, theirs, seed)
    evaluator = Evaluator(chosen, known, theirs, fingerprint_of(theirs), seed, classes)
    return evaluator.evaluate(ours, metrics)


def _extractor_called(name: Named | None, given: Given, seed: int) -> Extractor:
    if not isinstance(given, Tensor):
        if name is not None:
            raise UsageError(f"extractor {name!r} is for images, and features are given; remove it.")
        return extractor_of_features(given)
    if name not in (None, *NAMES):
        raise UsageError(f"there is no extractor {name!r}; {nearest(str(name), NAMES)}")
    return named_extractor(name or "random", given.shape, seed)


def fingerprint_of(images: Given) -> str:
    """16 hexadecimal digits of the content of images or features."""
    values = images if isinstance(images, Tensor) else images.values
    digest = hashlib.blake2b(str(tuple(values.shape)).encode(), digest_size=8)
    digest.update(values.contiguous().numpy().data)
    return digest.hexdigest()


def _prepared(given: Given, split: str) -> Given:
    if isinstance(given, Features):
        values = _finite(given.values, split)
        return replace(given, values=values, logits=None if given.logits is None else _finite(given.logits, split))
    if not isinstance(given, Tensor):
        raise UsageError(f"{split}: give a tensor of images or features, not {type(given).__name__}.")
    if given.numel() == 0:
        raise UsageError(f"{split}: there is nothing in a tensor {tuple(given.shape)}.")
    if given.ndim == 2 and given.is_floating_point():
        return Features(_finite(given, split), None, "given", split)
    if given.ndim != 4 or not (given.dtype == torch.uint8 or given.is_floating_point()):
        raise UsageError(
            f"{split}: a tensor {tuple(given.shape)} of {given.dtype} is neither images (N, C, H, W), uint8 or float "
            "in [-1, 1], nor features (N, d)."
        )
    return given.detach().cpu() if given.dtype == torch.uint8 else _to_bytes(given.detach().cpu(), split)


def _finite(values: Tensor, split: str) -> Tensor:
    """The values as float64 on the CPU; UsageError if they are not finite."""
    if not values.isfinite().all():
        raise UsageError(f"{split}: {int((~values.isfinite()).sum())} values are not finite numbers.")
    return values.detach().cpu().double()


def _to_bytes(images: Tensor, split: str) -> Tensor:
    largest = images.abs().max().item()
    if not largest <= 1:
        raise UsageError(f"{split}: float images must be in [-1, 1]; the largest is {largest:.4g}.")
    if images.min() >= 0:
        log.warning("%s: no pixel is below 0; float images are taken to be in [-1, 1], not in [0, 1].", split)
    return images.add(1).mul(127.5).round().to(torch.uint8)


def _require_one_shape(images: Sequence["Given | None"]) -> None:
    shapes = {tuple(each.shape[1:]) for each in images if isinstance(each, Tensor)}
    if len(shapes) > 1:
        given = " and ".join("x".join(map(str, shape)) for shape in sorted(shapes))
        raise UsageError(f"images must have the same channels and size; these have {given}.")


def extractor_of_features(features: Features) -> Extractor:
    """A placeholder with the name of the extractor that computed these features."""
    name = features.extractor
    return Extractor(name, torch.nn.Identity(), None, "fid" if name.startswith("inception_") else "fd")
