"""Load the sides of an evaluation: a generator's own data, pictures from anywhere, or features from a file."""

import logging
import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from gancli import config as configuration
from gancli import data
from gancli.data import DataSet, PictureOptions
from gancli.data.arrays import at_shape, is_array
from gancli.data.pictures.decoding import Picture
from gancli.data.pictures.listing import list_pictures
from gancli.data.pictures.reading import Decoder
from gancli.errors import UsageError
from gancli.evaluation import Evaluator, Features, ImageSet
from gancli.evaluation.library import extractor_of_features, fingerprint_of
from gancli.evaluation.pictures import MAX_EXAMINED, Pictures, pictures_of, size_of
from gancli.evaluation.sources.arrays import read_array
from gancli.evaluation.sources.choose_evaluator import evaluator_for
from gancli.evaluation.sources.request import Request
from gancli.sampling.generator import LoadedGenerator

log = logging.getLogger(__name__)
LOOK_SIDE = 32
"""Pixels a side to which pictures are brought where only their size, colour and format are asked for."""
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
        options = replace(options, **request.changed_reading())
    elif changed := [each for each in request.changed_reading() if each != "bad_images"]:
        flag = "--" + changed[0].replace("_", "-")
        raise UsageError(f"{flag} is for folders and zip files; {name} is a data set of its own. Remove it.")
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
    is_same = dataset.name == origin.data and not request.changed_reading().keys() & {"labels", "range", "frames"}
    if is_same and dataset.fingerprint != origin.fingerprint:
        log.warning(
            "%s is not as it was when this generator was trained; its held-out split may differ.",
            dataset.name,
        )
    return dataset


def evaluator_of_pictures(request: Request, where: torch.device) -> Evaluator:
    """The evaluator of ``--real``, with its own training split or the pictures of ``--train``."""
    assert request.data is not None
    dataset = _real_pictures(request)
    if dataset.mixture:
        raise UsageError(f"--real {request.data} has points; --fake is for pictures.")
    if request.train is not None:
        dataset = _with_train(dataset, request)
    evaluator, _ = evaluator_for(dataset, where, request.seed, None, request.choice)
    assert isinstance(evaluator, Evaluator)
    return evaluator


def _real_pictures(request: Request) -> DataSet:
    assert request.data is not None
    options = None
    if request.data not in data.SOURCES:
        options = request.picture_options(labels=request.labels, holdout=HALF)
    with _naming("--real"):
        return data.load(request.data, _root(request), None, options, request.on_progress, request.cache)


def _with_train(dataset: DataSet, request: Request) -> DataSet:
    """All of ``--real`` as held-out images (the held-out split of a named set), and ``--train`` as training images."""
    assert request.data is not None and request.train is not None
    shape = (dataset.train.images.shape[1], *dataset.train.images.shape[2:])
    heldout = dataset.heldout
    if is_array(request.data):
        heldout = data.Split(torch.cat([dataset.train.images, heldout.images]))
    elif request.data not in data.SOURCES:
        heldout = data.Split(_load_folder("--real", request.data, shape, request))
    train = _train_of(request.train, shape, request)
    compared = replace(dataset, train=train, heldout=heldout, known_fingerprint=None)
    if train.labels is None or heldout.labels is None:
        return replace(compared, train=data.Split(train.images), heldout=data.Split(heldout.images), classes=())
    return compared


def _train_of(name: str, shape: tuple[int, ...], request: Request) -> data.Split:
    """The training images of ``--train``, ``(C, H, W)`` like those of ``--real``."""
    if is_array(name):
        return data.Split(_pictures_in("--train", name, shape))
    if name not in data.SOURCES:
        return data.Split(_load_folder("--train", name, shape, request))
    named_set = data.load(name, _root(request))
    if named_set.mixture or named_set.train.images.shape[1] != shape[0]:
        raise UsageError(
            f"--train {name} has no pictures of {shape[0]} channels, as --real has; name what goes with it."
        )
    return named_set.resized(*shape[1:]).train


def _pictures_in(flag: str, path: str, shape: tuple[int, ...]) -> Tensor:
    array = read_array(path)
    if not isinstance(array, Tensor):
        raise UsageError(f"{flag} {path} has no pictures, as --real has; name what goes with it.")
    return at_shape(array, shape)


def evaluator_of_features(request: Request, real: Features) -> Evaluator:
    """The evaluator of ``real`` features, with those of ``--train`` if it is given."""
    train = None
    if request.train is not None:
        known = read_array(request.train) if is_array(request.train) else None
        if not isinstance(known, Features):
            raise UsageError(f"--train {request.train}: --real has features, so it must be features (.npz) too.")
        train = ImageSet("train", features=known)
    fingerprint = str(real.facts.get("fingerprint") or fingerprint_of(real))
    heldout = ImageSet(real.split, features=real)
    return Evaluator(extractor_of_features(real), train, heldout, fingerprint, request.seed)


def pictures_like(fake: str, evaluator: Evaluator, request: Request, array: Tensor | None = None) -> ImageSet:
    """The pictures of ``--fake``, or of its ``array``, in the size and channels of the real ones."""
    assert evaluator.heldout.pixels is not None
    shape = tuple(evaluator.heldout.pixels.shape[1:])
    pixels = _load_folder("--fake", fake, shape, request) if array is None else at_shape(array, shape)
    return ImageSet("generated", pixels, evaluator.extractor)


def stored_pictures(path: str, array: object, request: Request, named: Tensor | None = None) -> Pictures:
    """Size, colour and format of pictures in a folder or zip file, in an ``array``, or of a ``named`` data set."""
    if isinstance(array, Tensor):
        return pictures_of(array)
    if path in data.SOURCES and named is not None:
        return pictures_of(named)
    listing = list_pictures(Path(os.path.expanduser(path)))  # noqa: PTH111  leaves the home of nobody as it is
    some = listing.entries[:: max(1, len(listing.entries) // MAX_EXAMINED)][:MAX_EXAMINED]
    decoder = Decoder(listing, LOOK_SIDE, LOOK_SIDE, request.picture_options(color="rgb"))
    seen = [picture for entry in some if (picture := decoder.read(entry).picture) is not None]
    return Pictures(
        dict(Counter(size_of(*picture.size) for picture in seen)),
        dict(Counter(_colour(picture) for picture in seen)),
        dict(Counter(picture.format for picture in seen)),
    )


def _colour(picture: Picture) -> str:
    return "RGBA" if picture.traits.has_alpha else "grey" if picture.traits.is_grey else "RGB"


def _load_folder(flag: str, path: str, shape: tuple[int, ...], request: Request) -> Tensor:
    where = Path(os.path.expanduser(path))  # noqa: PTH111  leaves the home of nobody as it is
    if not path or not where.exists():
        raise UsageError(f"{flag} {path}: there is no such folder or file.")
    channels, height, width = shape
    options = request.picture_options()
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


def _root(request: Request) -> Path | None:
    return Path(request.data_root) if request.data_root else None
