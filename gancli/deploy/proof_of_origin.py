"""Draw a marked picture again with its generator, and compare the two pixel by pixel."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gancli.config.sample_command import MAX_IMAGES
from gancli.errors import GancliError, counted
from gancli.sampling import film, output, rendering
from gancli.sampling import generator as generators
from gancli.sampling.conditions import conditions_asked, labels_for
from gancli.sampling.generator import LoadedGenerator
from gancli.sampling.mark import Mark
from gancli.sampling.stamping import Stamp
from gancli.sampling.visible_label import VisibleLabel

FORMS = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp", "GIF": "gif"}
"""Pillow's names of formats, each with its name in `output.content_of` or `film.as_film`."""
Verdict = Literal["same", "differs", "unknown"]


@dataclass(frozen=True)
class Proof:
    """The result of drawing a picture again with its generator."""

    verdict: Verdict
    reason: str
    differing: int = 0
    """Number of values that differ; a pixel has one value per channel."""
    largest: int = 0
    """The largest difference, in pixel levels (0 to 255)."""


def prove(path: Path, mark: Mark | None, generator: LoadedGenerator, label_font: str | None = None) -> Proof:
    """Compare a picture or array file with the images that the generator draws for the file's mark."""
    if mark is None:
        return Proof("unknown", "it has no mark, so nothing says which image it would be")
    if mark.generator != generator.identity:
        return Proof(
            "differs", f"its mark names another generator, {mark.generator[:12]} and not {generator.identity[:12]}"
        )
    if not mark.numbers:
        return Proof("unknown", "its mark names no number, so it cannot be drawn again")
    try:
        there, again = _both(path, mark, generator, label_font)
    except GancliError as error:
        return Proof("unknown", f"it cannot be drawn again: {str(error).rstrip('.')}")
    return _compared(there, again)


def _compared(there: np.ndarray, again: np.ndarray) -> Proof:
    if there.shape != again.shape:
        return Proof("differs", f"its shape is {there.shape}, and drawn again it would be {again.shape}")
    apart = np.abs(there.astype(np.float64) - again)
    differing, largest = int(np.count_nonzero(apart)), float(apart.max(initial=0))
    if not differing:
        return Proof("same", "drawn again, it is the same in every pixel")
    reason = f"drawn again, {counted(differing, 'value')} of {there.size:,} differ, by {largest:g} of 255 at most"
    if largest <= 1:
        reason += "; another processor, which rounds otherwise, may do that as well as somebody's change"
    return Proof("differs", reason, differing, int(np.ceil(largest)))


def _both(path: Path, mark: Mark, generator: LoadedGenerator, label_font: str | None) -> tuple[np.ndarray, np.ndarray]:
    """The pixels in the file, and those that are drawn now."""
    if path.suffix.lower() == ".npz":
        there = np.load(path, allow_pickle=False)["arr_0"]
        if mark.count != len(there):
            return there, there[:0]
        again = drawn_again(mark, generator)
        return there, (again.permute(0, 2, 3, 1) if again.dtype == torch.uint8 else again.flatten(1)).numpy()
    form, there = _frames(path.read_bytes())
    label = VisibleLabel(mark.label, label_font) if mark.label is not None else None
    return there, _encoded_again(mark, generator, form, there, Stamp(None, label))


def _encoded_again(mark: Mark, generator: LoadedGenerator, form: str, there: np.ndarray, stamp: Stamp) -> np.ndarray:
    """The frames of the picture or film that the mark says, in the format of the frames that are there."""
    spec = generator.file.origin.spec
    if spec.is_points:
        return _frames(output.content_of(drawn_again(mark, generator), form, mark.columns, stamp))[1]
    one = torch.zeros(1, *spec.shape, dtype=torch.uint8)
    is_film = form in ("gif", "mp4") or (mark.count > 1 and film.shown(one, stamp).shape[2:] == there.shape[1:3])
    if mark.count * one.numel() > (rendering.MAX_PIXELS if is_film else there.size):
        return there[:0]  # there is no room for so many images
    images = drawn_again(mark, generator)
    if is_film:
        return _frames(film.as_film(images, "apng" if form == "png" else form, stamp))[1]
    return _frames(output.content_of(images, form, mark.columns, stamp))[1]


def _frames(content: bytes) -> tuple[str, np.ndarray]:
    """The format of a picture file's content, and its frames ``(N, H, W)`` or ``(N, H, W, C)``."""
    if film.is_mp4(content):
        return "mp4", film.frames_of_mp4(content)
    with Image.open(io.BytesIO(content)) as picture:
        return FORMS[picture.format or ""], film.frames_of(picture)


def drawn_again(mark: Mark, generator: LoadedGenerator) -> Tensor:
    """Draw the images of a mark, uint8 ``(count, C, H, W)``, or points; GancliError if that is impossible."""
    names = generator.classes
    wrong = [label for label in mark.labels if label >= len(names)]
    if wrong or mark.count > MAX_IMAGES or not (mark.truncation is None or 0 < mark.truncation < float("inf")):
        raise GancliError("its mark asks for what this generator does not draw.")
    numbers, seed = list(mark.numbers), mark.seed or 0
    labels = labels_for(generator, conditions_asked(mark.condition or None), numbers)
    if mark.labels:
        labels = [mark.labels[i % len(mark.labels)] for i in range(len(numbers))]
    places = None if mark.frame is None else range(mark.frame, mark.frame + 1)
    if not mark.mixed:
        batches = generators.draw(generator, numbers, seed, labels, None, mark.truncation, mark.frames, places)
        return torch.cat([*batches])
    if len(numbers) != 2:
        raise GancliError("its mark mixes other than two numbers.")
    mixed = torch.cat([*generators.draw_mixed(generator, numbers, seed, labels, mark.truncation)])
    return mixed if places is None else mixed[places.start : places.stop]
