"""Reconstruct held-out images by a generator's encoder and decoder, and measure how close they come."""

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from gancli.artifacts.lookup import generator_called
from gancli.config.sample_command import Reconstructing
from gancli.config.settings import part_of
from gancli.data import DataSet, Progress
from gancli.evaluation import Evaluator, paired
from gancli.evaluation.sources.choose_evaluator import AUTO, MIN_HELDOUT, evaluator_for, unseen
from gancli.evaluation.sources.inputs import data_of
from gancli.evaluation.sources.request import Request
from gancli.machine import devices
from gancli.runs import waiting
from gancli.sampling.drawing import batch_size_for
from gancli.sampling.generator import LoadedGenerator, load_generator, recipe_of
from gancli.sampling.mark import Mark
from gancli.sampling.reconstruction import reconstruct

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reconstructed:
    """Held-out images and their reconstructions, both uint8 ``(n, C, H, W)`` on the CPU."""

    images: Tensor
    rebuilt: Tensor
    mark: Mark
    """The mark of a picture of them."""
    generator: LoadedGenerator
    dataset: DataSet


@dataclass(frozen=True)
class Closeness:
    """How close the reconstructions of all held-out images come to them."""

    images: int
    rmse: float
    """Root of the mean squared error, in pixel levels (0 to 255)."""
    psnr: float
    """In dB, of that error; infinite without one."""
    ssim: float
    """Mean structural similarity; 1 for equal images."""
    fd: float | None
    """Frechet distance to the held-out images; None for too few of them."""
    extractor: str | None
    """The features of the Frechet distance."""


def reconstructed(told: Reconstructing, on_progress: Progress = lambda done, total: None) -> Reconstructed:
    """The first held-out images and their reconstructions; ``on_progress`` as for `gancli.data.load`."""
    generator = load_generator(generator_called(told.ckpt), devices.select(told.device))
    dataset = data_of(generator, part_of(told, Request, on_progress=on_progress))
    heldout = dataset.heldout.images
    if told.n > len(heldout):
        log.warning("--n %d is more than the %d held-out images; all of these are reconstructed.", told.n, len(heldout))
    images = torch.as_tensor(heldout[: told.n])
    mark = Mark(generator.identity, generator.file.origin.recipe, is_composite=True)
    return Reconstructed(images, reconstruct(generator, images), mark, generator, dataset)


def closeness(made: Reconstructed) -> Closeness:
    """Measure the reconstructions of all held-out images; those that ``made`` lacks are made here."""
    rebuilt, errors, similarities = list[Tensor](), list[Tensor](), list[Tensor]()
    with waiting.told("reconstructing the held-out images"):
        for images, again in _pairs(made):
            rebuilt.append(again)
            errors.append(paired.squared_errors(images, again))
            similarities.append(paired.ssim(images, again))
    error = torch.cat(errors).mean().item()
    fd, extractor = _frechet_distance(made, torch.cat(rebuilt))
    similarity = torch.cat(similarities).mean().item()
    return Closeness(len(made.dataset.heldout), math.sqrt(error), paired.psnr(error), similarity, fd, extractor)


def _pairs(made: Reconstructed) -> Iterator[tuple[Tensor, Tensor]]:
    """All held-out images with their reconstructions, in parts; first those of ``made``."""
    yield made.images, made.rebuilt
    images = made.dataset.heldout.images
    rows = batch_size_for(*images.shape[2:])
    for start in range(len(made.images), len(images), rows):
        part = torch.as_tensor(images[start : start + rows])
        yield part, reconstruct(made.generator, part)


def _frechet_distance(made: Reconstructed, rebuilt: Tensor) -> tuple[float | None, str | None]:
    """FD of the reconstructions to the held-out images, and its features: those of ``gancli eval``."""
    if len(rebuilt) < MIN_HELDOUT:
        return None, None
    choice = unseen(AUTO, recipe_of(made.generator.file.origin).features, made.dataset)
    device = next(made.generator.network.parameters()).device
    evaluator, _ = evaluator_for(made.dataset, device, 0, choice=choice)
    assert isinstance(evaluator, Evaluator)
    report = evaluator.evaluate(rebuilt, ["fd"])
    return report.figure("fd").value, report.extractor
