"""``train``, ``sample`` and ``evaluate`` as functions: the commands parse, call one of these, and print."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from gancli.data import Progress
from gancli.errors import UsageError
from gancli.evaluation import Report
from gancli.evaluation.sources import inputs, measure
from gancli.evaluation.sources.choose_evaluator import ExtractorChoice
from gancli.evaluation.sources.request import SETS, Request
from gancli.machine import devices
from gancli.runs.dry_run import DryRun, dry_run
from gancli.runs.train import TrainResult, train
from gancli.sampling import reconstruction
from gancli.sampling.generator import load_generator
from gancli.sampling.plan import Drawing, plan_sample

log = logging.getLogger(__name__)
__all__ = [
    "Drawing", "DryRun", "TrainResult", "dry_run", "evaluate", "evaluate_run", "plan_sample", "reconstruct", "sample",
    "train",
]  # fmt: skip


def sample(
    ckpt: str | Path,
    *,
    n: int = 64,
    seed: int = 0,
    seeds: str | Sequence[int] | None = None,
    classes: Sequence[str] | None = None,
    trunc: float | None = None,
    interpolate: int | None = None,
    device: str = "auto",
    batch_size: int | None = None,
) -> Tensor:
    """Draw from a generator file: images, uint8 ``(n, C, H, W)``, or points, float32 ``(n, 2, 1, 1)``, on the CPU.

    Image k of a ``seed`` is the same in every call; ``seeds`` picks numbers k ("0-7,12"), else 0 to n - 1. ``trunc``
    bounds the values of the latents. ``interpolate`` draws so many frames from each image to the next, and from the
    last to the first: ``(n * interpolate, C, H, W)``.
    """
    drawing = plan_sample(
        ckpt, n=n, seed=seed, seeds=seeds, classes=classes, trunc=trunc, interpolate=interpolate, device=device,
        batch_size=batch_size,
    )  # fmt: skip
    return torch.cat(list(drawing.batches))


def reconstruct(
    ckpt: str | Path,
    *,
    data: str | Path | None = None,
    data_root: str | Path | None = None,
    n: int = 64,
    device: str = "auto",
) -> tuple[Tensor, Tensor]:
    """The first ``n`` held-out images and what a generator with an encoder makes of them.

    Both are uint8 ``(n, C, H, W)`` on the CPU; fewer than ``n`` if there are not so many.
    """
    if n < 1:
        raise UsageError("--n must be more than 0.")
    generator = load_generator(Path(ckpt), devices.select(device))
    heldout = inputs.data_of(generator, Request(_text(data), data_root=data_root)).heldout.images
    if n > len(heldout):
        log.warning("--n %d is more than the %d held-out images; all of these are reconstructed.", n, len(heldout))
    images = torch.as_tensor(heldout[:n])
    return images, reconstruction.reconstruct(generator, images)


def evaluate(
    ckpt: str | Path | None = None,
    *,
    fake: str | Path | None = None,
    data: str | Path | None = None,
    train: str | Path | None = None,
    data_root: str | Path | None = None,
    metrics: str | Sequence[str] = "standard",
    n: int | None = None,
    sets: int = SETS,
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
        _text(data), _text(train), data_root, metrics, n, sets, seed, device, _chosen(extractor, weights), cache,
        labels, bad_images,
        Path(save_features) if save_features else None, Path(plots) if plots else None, on_batch, on_progress,
    )  # fmt: skip
    if ckpt is None:
        return measure.evaluate_images(str(fake), request)
    return measure.evaluate_generator(Path(ckpt), request)


def evaluate_run(
    run: str | Path,
    *,
    data: str | Path | None = None,
    extractor: str = "auto",
    weights: str | Path | None = None,
    **options: Any,
) -> list[tuple[int, Report]]:
    """Measure each kept checkpoint of a run: its step and its report, oldest first; other options as for `evaluate`."""
    options.pop("train", None)
    if options.get("save_features") is not None:
        raise UsageError("--save-features is for one generator; leave it away with --run.")
    request = Request(_text(data), extractor=_chosen(extractor, weights), **options)
    return list(measure.evaluate_run(Path(run), request))


def _text(name: str | Path | None) -> str | None:
    """What may be a data set's name or a path, as text."""
    return None if name is None else str(name)


def _chosen(extractor: str, weights: str | Path | None) -> ExtractorChoice:
    return ExtractorChoice(extractor, Path(weights) if weights else None)
