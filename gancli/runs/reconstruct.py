"""Reconstruct held-out images by a generator's encoder and decoder."""

import logging
from dataclasses import dataclass

import torch
from torch import Tensor

from gancli.artifacts.lookup import generator_called
from gancli.config.sample_command import Reconstructing
from gancli.config.settings import part_of
from gancli.evaluation.sources.inputs import data_of
from gancli.evaluation.sources.request import Request
from gancli.machine import devices
from gancli.sampling.generator import load_generator
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


def reconstructed(told: Reconstructing) -> Reconstructed:
    """The first held-out images and their reconstructions."""
    generator = load_generator(generator_called(told.ckpt), devices.select(told.device))
    heldout = data_of(generator, part_of(told, Request)).heldout.images
    if told.n > len(heldout):
        log.warning("--n %d is more than the %d held-out images; all of these are reconstructed.", told.n, len(heldout))
    images = torch.as_tensor(heldout[: told.n])
    mark = Mark(generator.identity, generator.file.origin.recipe, is_composite=True)
    return Reconstructed(images, reconstruct(generator, images), mark)
