"""A folder or an archive of pictures as a data set: sized, labelled, split by content, and decoded once."""

import logging
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from gancli.config.pictures import Colour, PictureOptions
from gancli.data.dataset import DataSet, Split
from gancli.data.pictures import deep
from gancli.data.pictures.decoded_cache import Progress, Shape, decoded
from gancli.data.pictures.decoding import header_size
from gancli.data.pictures.facts import PARTS, Facts, share_that_splits
from gancli.data.pictures.labels import Labels, labels_of, used
from gancli.data.pictures.listing import Listing, list_pictures
from gancli.data.pictures.reading import with_frames
from gancli.data.pictures.remarks import named, refusal, refusal_of_bad, say_what_is_done, warn_of_left_out
from gancli.data.pictures.streaming import streamed
from gancli.errors import DataError, counted

log = logging.getLogger(__name__)
MAX_HEADERS = 200
"""Pictures whose headers decide on the size, if none is asked for."""
USUAL_SIDES = (64, 32, 16, 8)
CHANNELS = {"grey": 1, "rgba": 4}


def load(
    path: Path,
    size: tuple[int, int] | None,
    options: PictureOptions,
    on_progress: Progress = lambda done, total: None,
    cache: bool = True,
) -> DataSet:
    """The pictures below a folder or in a zip file, at ``size`` (height, width) or at one that suits them.

    With ``cache`` they are decoded once, into the user's cache folder; else whenever they are needed. Raises
    UsageError if there are no pictures, or no labels where they are asked for, and DataError for bad files, more than
    a tenth of them even if they are to be skipped.
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
    say_what_is_done(listing, facts, shape, options, labels.classes, size is None)
    if facts.deep():  # so that the generator is compared with the same pixels, whatever is added to the folder
        options = replace(options, range=deep.as_choice(facts.deep(), facts.ranges(options)))
    train, heldout = (Split(images[part], _chosen(labels, facts.rows(part))) for part in PARTS)
    fingerprint = facts.fingerprint(shape, options, labels.numbers)
    skipped = named(listing, facts.bad) + named(listing, facts.too_small)
    name = str(path.absolute())
    return DataSet(name, train, heldout, labels.classes, None, fingerprint, skipped, options.as_dict())


def say_other_share(facts: Facts, options: PictureOptions, share: float | None) -> None:
    """Say which share is held out where the one asked for would leave nothing on one side."""
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
    """All pictures below a folder or in a zip file, without a split, in the order of their names.

    uint8 ``(N, C, H, W)`` of that ``shape``, ``(C, H, W)``. Errors are those of `load`. ``told``: that files are left
    out has been said.
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
    """The one size of all pictures looked at, if it is from 8 to 256 a side; else 64 or the next that they have."""
    step = max(1, len(listing.entries) // MAX_HEADERS)
    sizes = []
    for entry in listing.entries[::step]:
        try:
            with listing.open(entry) as file:
                sizes.append(header_size(file))
        except Exception:  # what is wrong with it is found out when it is decoded
            continue
    if not sizes:
        return USUAL_SIDES[-1], USUAL_SIDES[-1]
    if len(set(sizes)) == 1 and all(8 <= side <= 256 for side in sizes[0]):
        return sizes[0]
    shorter = statistics.median(min(size) for size in sizes)
    side = next((side for side in USUAL_SIDES if side <= shorter), USUAL_SIDES[-1])
    return side, side


def _chosen(labels: Labels, rows: Sequence[int]) -> Tensor | None:
    return torch.tensor([labels.numbers[row] for row in rows]) if labels.numbers else None
