"""What ``gancli eval`` compares: a generator's own data, pictures from anywhere, or features from a file."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from gancli import config as configuration
from gancli import data
from gancli.data import DataSet, PictureOptions
from gancli.errors import UsageError
from gancli.evaluation import Evaluator, ImageSet, load_features
from gancli.evaluation.library import extractor_of_features, fingerprint_of
from gancli.evaluation.sources.choose_evaluator import judge_for
from gancli.evaluation.sources.request import Request
from gancli.sampling.generator import LoadedGenerator

log = logging.getLogger(__name__)
HALF = 0.5
"""Share of a folder of real pictures that is compared with; the others give the baseline."""


def data_of(generator: LoadedGenerator, request: Request) -> DataSet:
    """The data set that a generator is compared with; UsageError if its images have other channels."""
    origin = generator.file.origin
    spec, name = origin.spec, request.data or origin.data
    size = None if spec.is_points else (spec.height, spec.width)
    options = None
    if name not in data.SOURCES:  # pictures are read as those it was trained on, wherever they lie now
        asked = origin.options or {"color": {1: "grey", 3: "rgb", 4: "rgba"}.get(spec.channels, "auto")}
        options = configuration.build(PictureOptions, asked, "the generator file")
        if request.bad_images == "skip":
            options = replace(options, bad_images="skip")
    dataset = data.load(name, _root(request), size if options else None, options, request.on_progress, request.cache)
    drawn, there = (
        "points" if is_points else f"pictures of {channels} channels"
        for is_points, channels in (
            (spec.is_points, spec.channels), (dataset.mixture is not None, dataset.train.images.shape[1])
        )
    )  # fmt: skip
    if drawn != there:
        raise UsageError(
            f"the generator draws {drawn} and {dataset.name} has {there}; name the data it was trained on with "
            "--data (or --real)."
        )
    dataset = dataset.resized(*size) if size and not options else dataset
    if dataset.name == origin.data and dataset.fingerprint != origin.fingerprint:
        log.warning(
            "%s is not as it was when this generator was trained; its held-out split may differ.",
            dataset.name,
        )
    return dataset


def judge_of_pictures(request: Request, where: torch.device) -> Evaluator:
    """The judge of ``--real`` with its own training split, or with the pictures of ``--train``."""
    assert request.data is not None
    options = None
    if request.data not in data.SOURCES:
        options = PictureOptions(labels=request.labels, holdout=HALF, bad_images=request.bad_images)
    with _naming("--real"):
        dataset = data.load(request.data, _root(request), None, options, request.on_progress, request.cache)
    if dataset.mixture:
        raise UsageError(f"--real {request.data} has points; --fake is for pictures.")
    if request.train is not None:
        dataset = _with_train(dataset, request)
    judge, _ = judge_for(dataset, where, request.seed, None, request.extractor)
    assert isinstance(judge, Evaluator)
    return judge


def _with_train(dataset: DataSet, request: Request) -> DataSet:
    """All of ``--real`` as held-out images (the held-out split of a named set), and ``--train`` as training images."""
    assert request.data is not None and request.train is not None
    shape = (dataset.train.images.shape[1], *dataset.train.images.shape[2:])
    heldout = dataset.heldout
    if request.data not in data.SOURCES:
        heldout = data.Split(_load_folder("--real", request.data, shape, request))
    train = _train_of(request.train, shape, request)
    found = replace(dataset, train=train, heldout=heldout, known_fingerprint=None)
    if train.labels is None or heldout.labels is None:
        return replace(found, train=data.Split(train.images), heldout=data.Split(heldout.images), classes=())
    return found


def _train_of(name: str, shape: tuple[int, ...], request: Request) -> data.Split:
    """The training images of ``--train``, ``(C, H, W)`` like those of ``--real``."""
    if name not in data.SOURCES:
        return data.Split(_load_folder("--train", name, shape, request))
    found = data.load(name, _root(request))
    if found.mixture or found.train.images.shape[1] != shape[0]:
        raise UsageError(
            f"--train {name} has no pictures of {shape[0]} channels, as --real has; name what goes with it."
        )
    return found.resized(*shape[1:]).train


def judge_of_features(request: Request) -> Evaluator:
    """The judge of ``--real`` and ``--train`` as features."""
    assert request.data is not None
    real = load_features(Path(request.data))
    train = None
    if request.train is not None:
        if not is_features(request.train):
            raise UsageError(f"--train {request.train}: --real has features, so it must be features (.npz) too.")
        train = ImageSet("train", features=load_features(Path(request.train)))
    fingerprint = str(real.facts.get("fingerprint") or fingerprint_of(real))
    heldout = ImageSet(real.split, features=real)
    return Evaluator(extractor_of_features(real), train, heldout, fingerprint, request.seed)


def pictures_like(fake: str, judge: Evaluator, request: Request) -> ImageSet:
    """The pictures of ``--fake``, of the shape and channels of those that they are compared with."""
    assert judge.heldout.pixels is not None
    shape = tuple(judge.heldout.pixels.shape[1:])
    return ImageSet("generated", _load_folder("--fake", fake, shape, request), judge.extractor)


def _load_folder(flag: str, path: str, shape: tuple[int, ...], request: Request) -> Tensor:
    where = Path(os.path.expanduser(path))  # noqa: PTH111  leaves the home of nobody as it is
    if not path or not where.exists():
        raise UsageError(f"{flag} {path}: there is no such folder or file.")
    channels, height, width = shape
    options = PictureOptions(bad_images=request.bad_images)
    told = flag == "--real"  # whose pictures were loaded before, for their shape
    with _naming(flag):
        return data.load_pictures(where, (channels, height, width), options, request.on_progress, request.cache, told)


@contextmanager
def _naming(flag: str) -> Iterator[None]:
    """Errors about pictures name the flag that they were given by, not the one of ``gancli train``."""
    try:
        yield
    except UsageError as error:
        said = re.sub(r"--data\b", flag, str(error))
        raise type(error)(said if flag in said else f"{flag}: {said}") from error


def is_features(path: str) -> bool:
    """Whether a file of features is meant, in place of pictures."""
    return path.endswith(".npz")


def _root(request: Request) -> Path | None:
    return Path(request.data_root) if request.data_root else None
