"""What ``gancli eval`` does: a generator file, a set of pictures or features, or each checkpoint of a run, measured."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from gancli import config as configuration
from gancli import data, devices, drawing, evaluation_files, sampling
from gancli.data import DataSet, PictureOptions, Progress
from gancli.errors import FileFormatError, UsageError, nearest
from gancli.evaluation import (
    POINT_METRICS,
    Evaluator,
    Features,
    ImageSet,
    Limit,
    Report,
    load_features,
    metrics,
    plots,
    save_features,
)
from gancli.evaluation.metrics.base import FeaturePath
from gancli.judging import AUTO, ExtractorChoice, Judge, judge_for
from gancli.latent_path import feature_path
from gancli.randomness import generator as random_generator
from gancli.run_folder import RunFolder
from gancli.training import checkpoint

log = logging.getLogger(__name__)
SETS, MOST_SETS = 3, 1000
HALF = 0.5
"""Share of a folder of real pictures that is compared with; the others give the baseline."""


def _silent(done: int, total: int) -> None:
    pass


@dataclass(frozen=True)
class Request:
    """How to measure, whatever is measured."""

    data: str | None = None
    """Real images: name of a data set, folder, zip file, or ``.npz`` file of features; None: the generator's own."""
    train: str | None = None
    """Other real images, on which the generator was trained; None: the data set's own split."""
    data_root: str | Path | None = None
    metrics: str | Sequence[str] = "standard"
    n: int | None = None
    """Images of each set; None: as many as are held out."""
    sets: int = SETS
    seed: int = 0
    device: str = "auto"
    extractor: ExtractorChoice = AUTO
    cache: bool = True
    labels: Literal["auto", "none", "folder"] = "auto"
    """Where the classes of real pictures come from, in place of a named set; see `PictureOptions`."""
    bad_images: Literal["error", "skip"] = "error"
    """What happens to pictures that cannot be read."""
    save_features: Path | None = None
    """Folder for the features of all images."""
    plots: Path | None = None
    """Folder for the report and plots."""
    on_batch: Callable[[int, int], None] = _silent
    on_progress: Progress = _silent

    def __post_init__(self) -> None:
        for name, most in (("n", sampling.MOST_IMAGES), ("sets", MOST_SETS)):
            value = getattr(self, name)
            if value is not None and not 0 < value <= most:
                raise UsageError(f"--{name} {value} must be more than 0 and at most {most:,}.")
        measured(self.metrics)
        if self.save_features and self.save_features.exists() and any(self.save_features.glob("*.npz")):
            raise UsageError(f"--save-features {self.save_features} has features already; name another folder.")


def measured(wanted: str | Sequence[str]) -> list[str]:
    """Names of the figures that these metrics and groups give, of images or of points; UsageError for unknown ones."""
    names = [name.strip() for name in wanted.split(",")] if isinstance(wanted, str) else list(wanted)
    images, _ = metrics.choose([name for name in names if name not in POINT_METRICS or name in metrics.table()])
    points = [name for name in POINT_METRICS if name in names or set(names) & set(metrics.GROUPS)]
    return [*(metric.name for metric in images), *points]


def require_measured(limits: Sequence[Limit], wanted: str | Sequence[str]) -> None:
    """UsageError for a condition on a figure that these metrics do not give, before any work is done."""
    names = measured(wanted)
    known = [*names, *(["fid"] if "fd" in names else [])]
    for limit in limits:
        if _is_of(limit, known):
            continue
        wrong = f"there is no metric {limit.metric!r}; {nearest(limit.metric, known)}"
        for name in (*metrics.table(), "fid", *POINT_METRICS):
            if _is_of(limit, [name]):
                wrong = f"{name} is not measured; add {'fd' if name == 'fid' else name} to --metrics."
        raise UsageError(f"--fail-if {limit.text!r}: {wrong}")


def _is_of(limit: Limit, names: Sequence[str]) -> bool:
    """Whether a condition is on one of these figures, perhaps by its full name."""
    return any(limit.metric == name or limit.metric.startswith(f"{name}_") for name in names)


def evaluate_generator(ckpt: Path, request: Request) -> Report:
    """Measure a generator file against the held-out split of its data."""
    where = devices.select(request.device)
    generator = sampling.load_generator(ckpt, where)
    judge, count = _judge_of(generator, request, where)
    return _evaluate_loaded(generator, judge, count, request, str(ckpt))


def evaluate_run(folder: Path, request: Request) -> Iterator[tuple[int, Report]]:
    """The step and the report of each kept checkpoint of a run, oldest first; UsageError if there is none."""
    paths = RunFolder(folder).checkpoints()
    if not paths:
        raise UsageError(f"--run {folder} has no checkpoint (checkpoints/step-000400.pt).")
    where, judge, count = devices.select(request.device), None, 0
    for path in paths:
        found = _sound(path)
        if found is None:
            continue
        generator = sampling.build_generator(sampling.generator_of(found), where)
        if judge is None:
            judge, count = _judge_of(generator, request, where)
        log.info("evaluating %s", path)
        yield found.step, _evaluate_loaded(generator, judge, count, request, str(path))

    if judge is None:
        raise UsageError(f"--run {folder} has no checkpoint that can be read.")


def _sound(path: Path) -> checkpoint.Checkpoint | None:
    """One is enough to spoil hours of work: a damaged file, or one that a training run has replaced by now."""
    try:
        return checkpoint.load(path)
    except FileFormatError as error:
        log.warning("%s It is left out.", error)
        return None


def evaluate_images(fake: str, request: Request) -> Report:
    """Measure pictures in a folder or zip file, or features in an ``.npz`` file, against ``request.data``."""
    if request.data is None:
        raise UsageError("--fake needs --real: a data set's name, a folder, a zip file, or features (.npz).")
    features = _is_features(fake), _is_features(request.data)
    if features == (False, True):
        raise UsageError("--real has features, so --fake must have features of the same extractor (.npz) too.")
    where = devices.select(request.device)
    judge = _judge_of_features(request) if features[1] else _judge_of_pictures(request, where)
    _note_n(request, len(judge.heldout))
    generated = _features_as_sets(fake) if features[0] else _pictures_like(fake, judge, request)
    sets = _disjoint(generated, min(request.n or len(judge.heldout), len(judge.heldout)), request)
    report = judge.evaluate(sets, request.metrics, source=fake, data=request.data)
    _write(judge, sets, request, report)
    return report


def _evaluate_loaded(
    generator: sampling.LoadedGenerator, judge: Judge, count: int, request: Request, source: str
) -> Report:
    labels = drawing.default_labels(range(count), len(generator.classes))
    drawn: list[Tensor] = []
    total, done = request.sets * count, 0
    for number in range(request.sets):
        numbers, parts = range(number * count, (number + 1) * count), []
        for batch in sampling.draw(generator, numbers, request.seed, labels):
            parts.append(batch)
            done += len(batch)
            request.on_batch(done, total)
        drawn.append(torch.cat(parts))
    if not isinstance(judge, Evaluator):
        return judge.evaluate(drawn, request.metrics, source=source, data=generator.file.origin.data)
    sets = [ImageSet("generated", images, judge.extractor) for images in drawn]
    path = _path(generator, judge, request)
    report = judge.evaluate(sets, request.metrics, labels, path, source, request.data or generator.file.origin.data)
    _write(judge, sets, request, report)
    return report


def _path(generator: sampling.LoadedGenerator, judge: Evaluator, request: Request) -> FeaturePath:
    return feature_path(generator.network, judge.extractor, generator.latent_dim, len(generator.classes), request.seed)


def _judge_of(generator: sampling.LoadedGenerator, request: Request, where: torch.device) -> tuple[Judge, int]:
    dataset = data_of(generator, request)
    torch.set_num_threads(devices.default_threads(*dataset.heldout.images.shape[2:]))
    _note_n(request, len(dataset.heldout))
    return judge_for(dataset, where, request.seed, request.n, request.extractor)


def _note_n(request: Request, heldout: int) -> None:
    if request.n is not None and request.n > heldout:
        log.warning("--n %d is more than the %d real images to compare with; N is that.", request.n, heldout)


def data_of(generator: sampling.LoadedGenerator, request: Request) -> DataSet:
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


def _judge_of_pictures(request: Request, where: torch.device) -> Evaluator:
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


def _judge_of_features(request: Request) -> Evaluator:
    """The judge of ``--real`` and ``--train`` as features."""
    assert request.data is not None
    real = load_features(Path(request.data))
    train = None
    if request.train is not None:
        if not _is_features(request.train):
            raise UsageError(f"--train {request.train}: --real has features, so it must be features (.npz) too.")
        train = ImageSet("train", features=load_features(Path(request.train)))
    from gancli.evaluation.library import extractor_of_features, fingerprint_of

    fingerprint = str(real.facts.get("fingerprint") or fingerprint_of(real))
    heldout = ImageSet(real.split, features=real)
    return Evaluator(extractor_of_features(real), train, heldout, fingerprint, request.seed)


def _pictures_like(fake: str, judge: Evaluator, request: Request) -> ImageSet:
    assert judge.heldout.pixels is not None
    shape = tuple(judge.heldout.pixels.shape[1:])
    return ImageSet("generated", _load_folder("--fake", fake, shape, request), judge.extractor)


def _load_folder(flag: str, path: str, shape: tuple[int, ...], request: Request) -> Tensor:
    where = Path(path).expanduser()
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
        said = str(error).replace("--data ", f"{flag} ", 1)
        raise type(error)(said if flag in said else f"{flag}: {said}") from error


def _features_as_sets(fake: str) -> ImageSet:
    return ImageSet("generated", features=load_features(Path(fake)))


def _disjoint(images: ImageSet, n: int, request: Request) -> list[ImageSet]:
    """Random sets of n images, as many as there are but ``request.sets`` at most; one of all if they are fewer."""
    order = torch.randperm(len(images), generator=random_generator(request.seed, "fakes"))
    count = max(1, min(request.sets, len(images) // n))
    return [images.part(order[number * n : (number + 1) * n]) for number in range(count)]


def _write(judge: Evaluator, sets: Sequence[ImageSet], request: Request, report: Report) -> None:
    if request.plots is not None:
        evaluation_files.write_report(request.plots, report, plots.Shown(sets[0], judge.heldout, judge.train))
    if request.save_features is None:
        return
    facts = {"fingerprint": judge.fingerprint, "seed": request.seed, "data": report.data}
    named = {f"generated-{number}": (each, facts | {"source": report.generated}) for number, each in enumerate(sets, 1)}
    named["heldout"] = (judge.heldout, facts)
    if judge.train is not None and "features" in judge.train.__dict__:
        named["train"] = (judge.train, facts)
    for name, (images, about) in named.items():
        save_features(request.save_features / f"{name}.npz", _with_facts(images.features, about))


def _with_facts(features: Features, facts: dict[str, object]) -> Features:
    return replace(features, facts=facts)


def _is_features(path: str) -> bool:
    return path.endswith(".npz")


def _root(request: Request) -> Path | None:
    return Path(request.data_root) if request.data_root else None
