"""``train``, ``sample`` and ``evaluate`` as functions: the commands parse, call one of these, and print."""

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from gancli import config as configuration
from gancli import data, devices, drawing, reconstruction, sampling
from gancli.data import PictureOptions, Progress
from gancli.errors import UsageError
from gancli.evaluation import Report
from gancli.quick_evaluation import judge_for
from gancli.running import DryRun, TrainResult, dry_run, train

__all__ = ["DryRun", "TrainResult", "dry_run", "evaluate", "reconstruct", "sample", "sample_batches", "train"]
log = logging.getLogger(__name__)


def sample(
    ckpt: str | Path,
    *,
    n: int = 64,
    seed: int = 0,
    seeds: str | Sequence[int] | None = None,
    classes: Sequence[str] | None = None,
    device: str = "auto",
    batch_size: int | None = None,
) -> Tensor:
    """Draw from a generator file: images, uint8 ``(n, C, H, W)``, or points, float32 ``(n, 2, 1, 1)``, on the CPU.

    Image k of a ``seed`` is the same in every call; ``seeds`` picks numbers k ("0-7,12"), else 0 to n - 1.
    """
    batches, _ = sample_batches(
        ckpt, n=n, seed=seed, seeds=seeds, classes=classes, device=device, batch_size=batch_size
    )
    return torch.cat(list(batches))


def sample_batches(
    ckpt: str | Path,
    *,
    n: int,
    seed: int,
    seeds: str | Sequence[int] | None,
    classes: Sequence[str] | None,
    device: str,
    batch_size: int | None,
) -> tuple[Iterator[Tensor], list[int]]:
    """Like `sample`, one batch at a time, and the numbers of the images that will come."""
    if n < 1 or (batch_size is not None and batch_size < 1):
        raise UsageError("--n and --batch-size must be more than 0.")
    numbers = sampling.parse_numbers(seeds) if isinstance(seeds, str) else list(range(n) if seeds is None else seeds)
    generator = sampling.load_generator(Path(ckpt), devices.select(device))
    labels = sampling.labels_of(generator, classes, len(numbers)) if classes else None
    return sampling.draw(generator, numbers, seed, labels, batch_size), numbers


def reconstruct(
    ckpt: str | Path,
    *,
    data: str | None = None,
    data_root: str | Path | None = None,
    n: int = 64,
    device: str = "auto",
) -> tuple[Tensor, Tensor]:
    """The first ``n`` held-out images and what a generator with an encoder makes of them.

    Both are uint8 ``(n, C, H, W)`` on the CPU; fewer than ``n`` if there are not so many.
    """
    if n < 1:
        raise UsageError("--n must be more than 0.")
    generator = sampling.load_generator(Path(ckpt), devices.select(device))
    heldout = _data_of(generator, data, data_root, lambda done, total: None, True).heldout.images
    images = torch.as_tensor(heldout[:n])
    return images, reconstruction.reconstruct(generator, images)


def evaluate(
    ckpt: str | Path,
    *,
    data: str | None = None,
    data_root: str | Path | None = None,
    n: int | None = None,
    seed: int = 0,
    device: str = "auto",
    on_batch: Callable[[int, int], None] = lambda done, total: None,
    on_progress: Progress = lambda done, total: None,
    cache: bool = True,
) -> Report:
    """Measure a generator file against the held-out split of its data, as ``gancli eval`` does.

    ``n`` images are compared with as many held-out ones (None: all of them; 2,500 points). ``on_batch`` hears how
    many are drawn, ``on_progress`` how many pictures of a folder are decoded, if any must be; ``cache`` keeps those.
    """
    where = devices.select(device)
    generator = sampling.load_generator(Path(ckpt), where)
    dataset = _data_of(generator, data, data_root, on_progress, cache)
    torch.set_num_threads(devices.default_threads(*dataset.heldout.images.shape[2:]))
    judge, count = judge_for(dataset, where, seed, n)
    drawn: list[Tensor] = []
    for batch in sampling.draw(generator, range(count), seed):
        drawn.append(batch)
        on_batch(sum(map(len, drawn)), count)
    return judge.evaluate(torch.cat(drawn), asked=drawing.default_labels(range(count), len(generator.classes)))


def _data_of(
    generator: sampling.LoadedGenerator, name: str | None, root: str | Path | None, on_progress: Progress, cache: bool
) -> data.DataSet:
    origin = generator.file.origin
    size = None if origin.spec.is_points else (origin.spec.height, origin.spec.width)
    name = name or origin.data
    options = None
    if name not in data.SOURCES:  # pictures are read as those it was trained on, wherever they lie now
        asked = origin.options or {"color": {1: "grey", 3: "rgb", 4: "rgba"}.get(origin.spec.channels, "auto")}
        options = configuration.build(PictureOptions, asked, "the generator file")
    dataset = data.load(name, Path(root) if root else None, size, options, on_progress, cache)
    if dataset.train.images.shape[1] != origin.spec.channels:
        raise UsageError(
            f"the generator draws {origin.spec.channels} channels and {dataset.name} has "
            f"{dataset.train.images.shape[1]}; name the data it was trained on with --data."
        )
    if dataset.name == origin.data and dataset.fingerprint != origin.fingerprint:
        log.warning(
            "%s is not as it was when this generator was trained; its held-out split may differ.",
            dataset.name,
        )
    return dataset
