"""Evaluation where one side is known by mean and covariance alone, as in pytorch-fid's files of mu and sigma."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gancli.data import load_pictures
from gancli.data.pictures.listing import list_pictures
from gancli.data.pictures.load import usual_size
from gancli.errors import UsageError
from gancli.evaluation import Features, Report, extract, metrics
from gancli.evaluation.extractors import pretrained
from gancli.evaluation.metrics.frechet import Moments, frechet_distance_of_moments, moments_of
from gancli.evaluation.report import figure_of
from gancli.evaluation.sources import folders
from gancli.evaluation.sources.arrays import Array
from gancli.evaluation.sources.request import Request
from gancli.machine import devices


@dataclass(frozen=True)
class Side:
    """One side's moments and where they come from."""

    moments: Moments
    extractor: str = ""
    """Empty where a file of mu and sigma does not say."""
    distance_name: str = "fd"
    n: int = 0
    """Images; 0 where the file does not say."""


def evaluate_moments(fake: str, generated: Array | None, real: Array | None, request: Request) -> Report:
    """The Frechet distance between two sides, one of which has moments alone.

    The other side has moments, features, or pictures, which need ``--extractor`` with ``--weights``. UsageError for
    metrics, features or sizes that do not go with it.
    """
    _require_possible(request)
    assert request.data is not None
    where = devices.select(request.device)
    ours, theirs = (
        _side(flag, path, array, request, where)
        for flag, path, array in (("--fake", fake, generated), ("--real", request.data, real))
    )
    counts = len(ours.moments.mean), len(theirs.moments.mean)
    if counts[0] != counts[1]:
        raise UsageError(f"--fake has {counts[0]} features, --real has {counts[1]}; take both from the same extractor.")
    known = next((side for side in (ours, theirs) if side.extractor), Side(ours.moments, "given"))
    value = frechet_distance_of_moments(ours.moments, theirs.moments)
    name = f"{known.distance_name}_{known.extractor}"
    report = Report(
        figures=(figure_of("fd", name, [value], [], ours.n or theirs.n, "lower"),),
        extractor=known.extractor,
        accuracy=None,
        split="given",
        fingerprint="",
        seed=request.seed,
        warnings=(
            "mu and sigma give the Frechet distance alone, without baseline or error bar; it means something only if "
            "both sides come from the same extractor and as many images.",
        ),
        generated=fake,
        data=request.data,
    )
    if request.plots is not None:
        folders.write_report(Path(request.plots), report)
    return report


def _require_possible(request: Request) -> None:
    _, named = metrics.choose(request.metrics)
    if others := sorted(named - {"fd"}):
        raise UsageError(f"{', '.join(others)} cannot be computed from mu and sigma; they give fd alone.")
    if request.train is not None or request.save_features is not None:
        raise UsageError("--train and --save-features need features or pictures, not mu and sigma; remove them.")


def _side(flag: str, path: str, array: Array | None, request: Request, where: torch.device) -> Side:
    if isinstance(array, Moments):
        return Side(array)
    if isinstance(array, Features):
        return Side(moments_of(array.values), array.extractor, n=len(array))
    if request.choice.weights is None:
        raise UsageError(
            f"{flag} {path} has pictures and the other side only mu and sigma; name the extractor that those were made "
            "with, as --extractor inception --weights FILE."
        )
    extractor = pretrained.load(request.choice.name, request.choice.weights, where)
    features = extract(array if isinstance(array, Tensor) else _pictures(path, request), extractor, "given")
    return Side(moments_of(features.values), extractor.name, extractor.distance_name, len(features))


def _pictures(path: str, request: Request) -> Tensor:
    where = Path(os.path.expanduser(path))  # noqa: PTH111  leaves the home of nobody as it is
    if not where.exists():
        raise UsageError(f"{path}: there is no such folder or file; mu and sigma are compared with pictures or arrays.")
    shape = (3, *usual_size(list_pictures(where)))
    return load_pictures(where, shape, request.picture_options(), request.on_progress, request.cache)
