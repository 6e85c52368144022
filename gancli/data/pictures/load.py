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
from gancli.data.pictures.decoded_cache import Progress, Shape, decoded
from gancli.data.pictures.decoding import header_size
from gancli.data.pictures.facts import PARTS, Facts, share_that_splits
from gancli.data.pictures.formats import advice
from gancli.data.pictures.labels import Labels, labels_of, used
from gancli.data.pictures.listing import Listing, list_pictures
from gancli.data.pictures.streaming import streamed
from gancli.errors import DataError

log = logging.getLogger(__name__)
LOOKED_AT = 200
"""Pictures whose headers decide on the size, if none is asked for."""
USUAL_SIDES = (64, 32, 16, 8)
MOST_BAD = 0.1
SHOWN_BAD = 3
CHANNELS = {"grey": 1, "rgba": 4}
COLOURS = {1: "grey", 3: "RGB", 4: "RGBA"}


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
    listing = list_pictures(path)
    labels = labels_of(listing, options)
    shape = (CHANNELS.get(options.color, 3), *(size or usual_size(listing)))
    images, facts = (decoded if cache else streamed)(listing, shape, options, on_progress)
    if refused := refusal(listing, facts, options):
        raise DataError(f"{path}: {refused}.")
    labels = used(labels, facts.train, facts.heldout)
    shape = (images["train"].shape[1], *shape[1:])
    _say_what_is_done(listing, facts, shape, options, labels.classes, size is None)
    train, heldout = (Split(images[part], _chosen(labels, facts.rows(part))) for part in PARTS)
    fingerprint = facts.fingerprint(shape, options, labels.numbers)
    skipped = named(listing, facts.bad) + named(listing, facts.too_small)
    name = str(path.absolute())
    return DataSet(name, train, heldout, labels.classes, None, fingerprint, skipped, options.as_dict())


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
    listing = list_pictures(path)
    colour: Colour = "grey" if shape[0] == 1 else "rgba" if shape[0] == 4 else "rgb"
    wanted = replace(
        options, color=colour, alpha=options.alpha if shape[0] == 4 or options.alpha != "keep" else "white"
    )
    images, facts = (decoded if cache else streamed)(listing, shape, wanted, on_progress)
    if refused := _refusal_of_bad(listing, facts, options):
        raise DataError(f"{path}: {refused}.")
    if not told:
        _warn_of_left_out(listing, facts)
    order = torch.tensor([*facts.train, *facts.heldout]).argsort()
    return torch.cat([images[part][:] for part in PARTS])[order]


def usual_size(listing: Listing) -> tuple[int, int]:
    """The one size of all pictures looked at, if it is from 8 to 256 a side; else 64 or the next that they have."""
    step = max(1, len(listing.entries) // LOOKED_AT)
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


def refusal(listing: Listing, facts: Facts, options: PictureOptions) -> str | None:
    """Why training would not begin with what is known of a listing's files; None if it would."""
    if refused := _refusal_of_bad(listing, facts, options):
        return refused
    total = len(facts.train) + len(facts.heldout)
    if not total:
        return (
            f"all {len(facts.too_small):,} pictures are smaller than --image-size; leave --small-images skip away, or "
            "ask for less"
        )
    if facts.train and facts.heldout:
        return None
    share = share_that_splits(facts.train_digests + facts.heldout_digests)
    if share is None:
        return f"{total:,} pictures of one content cannot be split into those to train on and those held out; add some"
    return (
        f"--holdout {options.holdout:g} would hold out {'all' if facts.heldout else 'none'} of {total:,} pictures, by "
        f"their content; use --holdout {share:.6g}, or add pictures"
    )


def _refusal_of_bad(listing: Listing, facts: Facts, options: PictureOptions) -> str | None:
    bad, total = named(listing, facts.bad), len(listing.entries)
    if not bad:
        return None
    examples = "; ".join(f"{name!r} {reason}" for name, reason in bad[:SHOWN_BAD])
    examples += "; and so on" if len(bad) > SHOWN_BAD else ""
    cannot = f"{len(bad):,} of {total:,} pictures cannot be used"
    if options.bad_images == "error":
        return f"{cannot}: {examples}. Mend or remove them, or add --bad-images skip; gancli data check lists all"
    if len(bad) > MOST_BAD * total:
        return f"{cannot}, more than {MOST_BAD:.0%}: {examples}"
    return None


def named(listing: Listing, rows: Sequence[tuple[int, str]]) -> tuple[tuple[str, str], ...]:
    """Places in the listing with reasons, as names with reasons."""
    return tuple((listing.entries[row].name, reason) for row, reason in rows)


def _chosen(labels: Labels, rows: Sequence[int]) -> Tensor | None:
    return torch.tensor([labels.numbers[row] for row in rows]) if labels.numbers else None


def _say_what_is_done(
    listing: Listing, facts: Facts, shape: Shape, options: PictureOptions, classes: tuple[str, ...], is_own_size: bool
) -> None:
    """The policy in a line or two."""
    channels, height, width = shape
    hint = " (--image-size changes it)" if is_own_size else ""
    notes = [
        f"{len(facts.train):,} pictures to train on, {len(facts.heldout):,} held out by content",
        f"{height}x{width} {COLOURS[channels]}{hint}, fit {options.fit}",
    ]
    notes += [f"classes: {len(classes):,}"] if classes else []
    if facts.transparent:
        ground = "kept" if channels == 4 else f"on {options.alpha}"
        notes.append(f"{facts.transparent:,} with transparent pixels, {ground}")
    notes += [f"other files: {listing.others:,}"] if listing.others else []
    log.info("%s: %s", listing.root, "; ".join(notes))
    if facts.enlarged:
        log.warning("%d pictures are smaller and are enlarged; --small-images skip leaves them out.", facts.enlarged)
    _warn_of_left_out(listing, facts)


def _warn_of_left_out(listing: Listing, facts: Facts) -> None:
    if unread := advice(listing.unread):
        log.warning("%s: %s.", listing.root, unread)
    found = ((len(facts.bad), "bad files"), (len(facts.too_small), "too small pictures"))
    if left_out := " and ".join(f"{count:,} {what}" for count, what in found if count):
        log.warning("%s of %s are left out; gancli data check names each.", left_out, listing.root)
