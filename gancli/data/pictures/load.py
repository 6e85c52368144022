"""Load a folder or archive of pictures as a data set: resized, labelled, and split by content."""

import logging
import statistics
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from gancli.config.pictures import Colour, PictureOptions
from gancli.data.conditions import conditions_of
from gancli.data.dataset import DataSet
from gancli.data.pictures import deep
from gancli.data.pictures.decoded_cache import Progress, Shape, decoded
from gancli.data.pictures.facts import PARTS, Facts, share_that_splits
from gancli.data.pictures.labels import labels_of, used
from gancli.data.pictures.listing import Listing, list_pictures
from gancli.data.pictures.opening import header_size
from gancli.data.pictures.reading import with_frames
from gancli.data.pictures.remarks import named, refusal, refusal_of_bad, say_what_is_done, warn_of_left_out
from gancli.data.pictures.streaming import streamed
from gancli.errors import DataError, counted

log = logging.getLogger(__name__)
MAX_HEADERS = 200
"""About this many headers are read to choose a size, if none is given."""
USUAL_SIDES = (64, 32, 16, 8)
CHANNELS = {"grey": 1, "rgba": 4}


def load(
    path: Path,
    size: tuple[int, int] | None,
    options: PictureOptions,
    on_progress: Progress = lambda done, total: None,
    cache: bool = True,
) -> DataSet:
    """Load the pictures below a folder or in a zip file as a data set.

    ``size`` is (height, width); None takes `usual_size`. With ``cache``, pictures are decoded once, into the user's
    cache folder; otherwise they are decoded each time they are needed. Raises UsageError if there are no pictures, or
    if wanted labels are missing. Raises DataError if pictures cannot be split. Bad files also raise DataError, unless
    ``options`` skip them and they are at most a tenth.
    """
    listing = with_frames(list_pictures(path), options)
    labels = labels_of(listing, options)
    shape = (CHANNELS.get(options.color, 3), *(size or usual_size(listing)))
    read = decoded if cache else streamed
    images, facts = read(listing, shape, options, on_progress)
    if (share := share_that_splits(facts, options.holdout)) not in (None, options.holdout):
        say_other_share(facts, options, share)
        options = replace(options, holdout=share)
        images, facts = read(listing, shape, options, on_progress)
    if refused := refusal(listing, facts, options):
        raise DataError(f"{path}: {refused}.")
    labels = used(labels, facts.rows("train"), facts.rows("heldout"))
    shape = (images["train"].shape[1], *shape[1:])
    say_what_is_done(listing, facts, shape, options, labels, size is None)
    if facts.deep():  # a fixed range keeps these pixels the same when pictures are added
        options = replace(options, range=deep.as_choice(facts.deep(), facts.ranges(options)))
    train, heldout = (labels.split(images[part], facts.rows(part)) for part in PARTS)
    fingerprint = facts.fingerprint(shape, options, labels.numbers or labels.rows, labels.conditions)
    return DataSet(
        str(path.absolute()), train, heldout, labels.classes,
        known_fingerprint=fingerprint,
        skipped=named(listing, facts.bad) + named(listing, facts.too_small),
        options=options.as_dict(),
        conditions=conditions_of(labels.conditions, train.conditions),
    )  # fmt: skip


def say_other_share(facts: Facts, options: PictureOptions, share: float | None) -> None:
    """Log that ``share`` is held out, since the wanted share would leave a split empty."""
    log.info(
        "--holdout %g would hold out %s of %s, by their content; %.4g is held out.",
        options.holdout, "all" if facts.heldout else "none", counted(len(facts.seen()), "picture"), share,
    )  # fmt: skip


def load_all(
    path: Path,
    shape: Shape,
    options: PictureOptions,
    on_progress: Progress = lambda done, total: None,
    cache: bool = True,
    told: bool = False,
) -> Tensor:
    """Load all pictures below a folder or in a zip file, without a split, sorted by name.

    Returns uint8 ``(N, C, H, W)``; ``shape`` is ``(C, H, W)``. Raises the errors of `load`. ``told`` means that
    the warning about skipped files was given before and is left out.
    """
    listing = with_frames(list_pictures(path), options)
    colour: Colour = "grey" if shape[0] == 1 else "rgba" if shape[0] == 4 else "rgb"
    wanted = replace(
        options, color=colour, alpha=options.alpha if shape[0] == 4 or options.alpha != "keep" else "white"
    )
    images, facts = (decoded if cache else streamed)(listing, shape, wanted, on_progress)
    if refused := refusal_of_bad(listing, facts, options):
        raise DataError(f"{path}: {refused}.")
    if not told:
        warn_of_left_out(listing, facts)
    order = torch.tensor([seen.row for seen in facts.seen()]).argsort()
    return torch.cat([images[part][:] for part in PARTS])[order]


def usual_size(listing: Listing) -> tuple[int, int]:
    """Height and width for training, if none are given.

    They are the size that all pictures share, if its sides are 8 to 256 pixels. Otherwise the size is a square of 64
    pixels a side, or of 32, 16 or 8 for smaller pictures.
    """
    step = max(1, len(listing.entries) // MAX_HEADERS)
    sizes = []
    for entry in listing.entries[::step]:
        try:
            with listing.open(entry) as file:
                sizes.append(header_size(file))
        except Exception:  # decoding it will report the error
            continue
    if not sizes:
        return USUAL_SIDES[-1], USUAL_SIDES[-1]
    if len(set(sizes)) == 1 and all(8 <= side <= 256 for side in sizes[0]):
        return sizes[0]
    shorter = statistics.median(min(size) for size in sizes)
    side = next((side for side in USUAL_SIDES if side <= shorter), USUAL_SIDES[-1])
    return side, side
