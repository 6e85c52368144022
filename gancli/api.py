"""``train``, ``sample`` and ``evaluate`` as functions: the commands parse, call one of these, and print."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from gancli import devices, evaluating, reconstruction, sampling
from gancli.data import Progress
from gancli.errors import UsageError
from gancli.evaluating import Request
from gancli.evaluation import Report
from gancli.judging import ExtractorChoice
from gancli.running import DryRun, TrainResult, dry_run, train

__all__ = [
    "DryRun", "TrainResult", "dry_run", "evaluate", "evaluate_run", "reconstruct", "sample", "sample_batches", "train",
]  # fmt: skip


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
    heldout = evaluating.data_of(generator, Request(data, data_root=data_root)).heldout.images
    images = torch.as_tensor(heldout[:n])
    return images, reconstruction.reconstruct(generator, images)


def evaluate(
    ckpt: str | Path | None = None,
    *,
    fake: str | Path | None = None,
    data: str | None = None,
    train: str | None = None,
    data_root: str | Path | None = None,
    metrics: str | Sequence[str] = "standard",
    n: int | None = None,
    sets: int = evaluating.SETS,
    seed: int = 0,
    device: str = "auto",
    extractor: str = "auto",
    weights: str | Path | None = None,
    save_features: str | Path | None = None,
    plots: str | Path | None = None,
    on_batch: Callable[[int, int], None] = lambda done, total: None,
    on_progress: Progress = lambda done, total: None,
    cache: bool = True,
    labels: Literal["auto", "none", "folder"] = "auto",
    bad_images: Literal["error", "skip"] = "error",
) -> Report:
    """Measure a generator file against the held-out split of its data, or any pictures, as ``gancli eval`` does.

    ``fake`` is a folder or zip file of pictures, or an ``.npz`` file of features, in place of ``ckpt``; it is compared
    with ``data``. ``sets`` of ``n`` images each are compared with as many held-out ones (None: all; 2,500 points).
    ``plots`` is a new folder for the report and plots, ``save_features`` one for features. ``on_batch`` hears how many
    images are drawn, ``on_progress`` how many pictures are decoded; ``cache`` keeps those. ``labels="folder"`` takes
    the folders of ``data`` for classes, ``bad_images="skip"`` leaves out pictures that cannot be read.
    """
    if (ckpt is None) == (fake is None):
        raise UsageError("give either a generator file (--ckpt) or generated images (--fake).")
    request = Request(
        data, train, data_root, metrics, n, sets, seed, device, _chosen(extractor, weights), cache, labels, bad_images,
        Path(save_features) if save_features else None, Path(plots) if plots else None, on_batch, on_progress,
    )  # fmt: skip
    if ckpt is None:
        return evaluating.evaluate_images(str(fake), request)
    return evaluating.evaluate_generator(Path(ckpt), request)


def evaluate_run(
    run: str | Path, *, extractor: str = "auto", weights: str | Path | None = None, **options: Any
) -> list[tuple[int, Report]]:
    """Measure each kept checkpoint of a run: its step and its report, oldest first; other options as for `evaluate`."""
    options.pop("train", None)
    if options.get("save_features") is not None:
        raise UsageError("--save-features is for one generator; leave it away with --run.")
    request = Request(extractor=_chosen(extractor, weights), **options)
    return list(evaluating.evaluate_run(Path(run), request))


def _chosen(extractor: str, weights: str | Path | None) -> ExtractorChoice:
    return ExtractorChoice(extractor, Path(weights) if weights else None)
