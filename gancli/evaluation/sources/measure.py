"""Measure a generator file, pictures, features, or each checkpoint of a run: the work of ``gancli eval``."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from gancli import recipes
from gancli.artifacts import checkpoint
from gancli.artifacts.lookup import generator_called
from gancli.artifacts.run_folder import RunFolder
from gancli.data.arrays import is_array
from gancli.data.conditions import default_labels
from gancli.errors import FileFormatError, UsageError
from gancli.evaluation import Evaluator, Features, ImageSet, Report, plots, save_features
from gancli.evaluation.findings import with_pictures
from gancli.evaluation.metrics.base import FeaturePath
from gancli.evaluation.metrics.frechet import Moments
from gancli.evaluation.per_condition import AskedConditions
from gancli.evaluation.pictures import pictures_of, size_of
from gancli.evaluation.sources import folders
from gancli.evaluation.sources.arrays import read_array
from gancli.evaluation.sources.choose_evaluator import AnyEvaluator, evaluator_for, unseen
from gancli.evaluation.sources.inputs import (
    data_of,
    evaluator_of_features,
    evaluator_of_pictures,
    pictures_like,
    stored_pictures,
)
from gancli.evaluation.sources.latent_path import feature_path
from gancli.evaluation.sources.moments import evaluate_moments
from gancli.evaluation.sources.request import Request
from gancli.machine import devices
from gancli.randomness import generator as random_generator
from gancli.sampling.generator import LoadedGenerator, build_generator, draw, generator_of, load_generator

log = logging.getLogger(__name__)


def evaluate(request: Request) -> Report:
    """Measure the generator or the pictures that are asked for; UsageError unless it is one of both."""
    if (request.ckpt is None) == (request.fake is None):
        raise UsageError("give either a generator (--ckpt) or generated images (--fake).")
    if request.ckpt is None:
        return evaluate_images(str(request.fake), request)
    return evaluate_generator(generator_called(request.ckpt), request)


def evaluate_generator(ckpt: Path, request: Request) -> Report:
    """Measure a generator file against the held-out split of its data."""
    where = devices.select(request.device)
    generator = load_generator(ckpt, where)
    evaluator, count = _evaluator_of(generator, request, where)
    return _evaluate_loaded(generator, evaluator, count, request, str(ckpt))


def evaluate_run(folder: Path, request: Request) -> Iterator[tuple[int, Report]]:
    """The step and the report of each kept checkpoint of a run, oldest first; UsageError if there is none."""
    if request.save_features is not None:
        raise UsageError("--save-features is for one generator; remove it, or --run.")
    paths = RunFolder(folder).checkpoints()
    if not paths:
        raise UsageError(f"--run {folder} has no checkpoint (checkpoints/step-000400.pt).")
    where, evaluator, count = devices.select(request.device), None, 0
    for path in paths:
        saved = _sound(path)
        if saved is None:
            continue
        generator = build_generator(generator_of(saved), where)
        if evaluator is None:
            evaluator, count = _evaluator_of(generator, request, where)
        log.info("evaluating %s", path)
        yield saved.step, _evaluate_loaded(generator, evaluator, count, request, str(path))

    if evaluator is None:
        raise UsageError(f"--run {folder} has no checkpoint that can be read.")


def _sound(path: Path) -> checkpoint.Checkpoint | None:
    """The checkpoint, or None with a warning if it is damaged or a training run has replaced it meanwhile."""
    try:
        return checkpoint.load(path)
    except FileFormatError as error:
        log.warning("%s It is left out.", error)
        return None


def evaluate_images(fake: str, request: Request) -> Report:
    """Measure ``fake`` against ``request.data``: each a folder, a zip file or a NumPy file (see `read_array`)."""
    if request.data is None:
        raise UsageError("--fake needs --real: a data set's name, a folder, a zip file, or an .npz file.")
    generated, real = (read_array(p) if is_array(p) else None for p in (fake, request.data))
    if isinstance(generated, Moments) or isinstance(real, Moments):
        return evaluate_moments(fake, generated, real, request)
    if isinstance(real, Features):
        if not isinstance(generated, Features):
            raise UsageError("--real has features, so --fake must have features of the same extractor (.npz) too.")
        evaluator = evaluator_of_features(request, real)
    else:
        evaluator = evaluator_of_pictures(request, devices.select(request.device))
    _note_n(request, len(evaluator.heldout))
    if isinstance(generated, Features):
        images = ImageSet("generated", features=generated)
    else:
        images = pictures_like(fake, evaluator, request, generated)
    sets = _disjoint(images, min(request.n or len(evaluator.heldout), len(evaluator.heldout)), request)
    report = evaluator.evaluate(sets, request.metrics, source=fake, data=request.data)
    if images.pixels is not None:
        real_pixels = evaluator.heldout.pixels
        sides = stored_pictures(fake, generated, request), stored_pictures(request.data, real, request, real_pixels)
        report = with_pictures(report, *sides, size_of(*images.pixels.shape[2:]))
    _write(evaluator, sets, request, report)
    return report


def _evaluate_loaded(
    generator: LoadedGenerator, evaluator: AnyEvaluator, count: int, request: Request, source: str
) -> Report:
    labels = default_labels(range(count), generator.choices)
    drawn: list[Tensor] = []
    total, done = request.sets * count, 0
    for number in range(request.sets):
        numbers, parts = range(number * count, (number + 1) * count), []
        for batch in draw(generator, numbers, request.seed, labels):
            parts.append(batch)
            done += len(batch)
            request.on_batch(done, total)
        drawn.append(torch.cat(parts))
    if not isinstance(evaluator, Evaluator):
        return evaluator.evaluate(drawn, request.metrics, source=source, data=generator.file.origin.data)
    sets = [ImageSet("generated", images, evaluator.extractor) for images in drawn]
    path = _path(generator, evaluator, request)
    asked: list[int] | AskedConditions | None = None
    if generator.conditions is not None:
        asked = AskedConditions(generator.conditions.names, torch.tensor(labels, dtype=torch.float64))
    elif generator.classes and generator.classes == tuple(evaluator.classes):
        asked = [label for label in labels or () if isinstance(label, int)]
    report = evaluator.evaluate(sets, request.metrics, asked, path, source, request.data or generator.file.origin.data)
    assert evaluator.heldout.pixels is not None
    sides = pictures_of(drawn[0]), pictures_of(evaluator.heldout.pixels)
    report = with_pictures(report, *sides, size_of(*drawn[0].shape[2:]))
    report = _marked(report, _trained_on(generator))
    _write(evaluator, sets, request, report)
    return report


def _trained_on(generator: LoadedGenerator) -> str | None:
    return recipes.find(generator.file.origin.recipe).features


def _marked(report: Report, trained_on: str | None) -> Report:
    """The report with a warning where the generator's D trained on the very features of its figures."""
    if trained_on is None or not report.extractor.startswith(f"{trained_on}_"):
        return report
    warning = f"D trained on the features {report.extractor}: figures of them flatter; see --extractor random too."
    return replace(report, warnings=(*report.warnings, warning))


def _path(generator: LoadedGenerator, evaluator: Evaluator, request: Request) -> FeaturePath:
    return feature_path(generator.network, evaluator.extractor, generator.latent_dim, generator.choices, request.seed)


def _evaluator_of(generator: LoadedGenerator, request: Request, where: torch.device) -> tuple[AnyEvaluator, int]:
    dataset = data_of(generator, request)
    torch.set_num_threads(devices.default_threads(*dataset.heldout.images.shape[2:]))
    _note_n(request, len(dataset.heldout))
    choice = unseen(request.choice, _trained_on(generator), dataset)
    return evaluator_for(dataset, where, request.seed, request.n, choice)


def _note_n(request: Request, heldout: int) -> None:
    if request.n is not None and request.n > heldout:
        log.warning("--n %d is more than the %d real images to compare with; N is that.", request.n, heldout)


def _disjoint(images: ImageSet, n: int, request: Request) -> list[ImageSet]:
    """Random sets of n images, as many as there are but ``request.sets`` at most; one of all if they are fewer."""
    order = torch.randperm(len(images), generator=random_generator(request.seed, "fakes"))
    count = max(1, min(request.sets, len(images) // n))
    return [images.part(order[number * n : (number + 1) * n]) for number in range(count)]


def _write(evaluator: Evaluator, sets: Sequence[ImageSet], request: Request, report: Report) -> None:
    if request.plots is not None:
        shown = plots.PlottedImages(sets[0], *evaluator.counterparts(len(sets[0])), evaluator.train)
        folders.write_report(Path(request.plots), report, shown)
    if request.save_features is None:
        return
    facts = {"fingerprint": evaluator.fingerprint, "seed": request.seed, "data": report.data}
    named = {f"generated-{number}": (each, facts | {"source": report.generated}) for number, each in enumerate(sets, 1)}
    named["heldout"] = (evaluator.heldout, facts)
    if evaluator.train is not None and "features" in evaluator.train.__dict__:
        named["train"] = (evaluator.train, facts)
    for name, (images, about) in named.items():
        save_features(Path(request.save_features) / f"{name}.npz", replace(images.features, facts=about))
