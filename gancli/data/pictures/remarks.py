"""Messages about a folder or archive before training: refusals, warnings and a summary."""

import logging
from collections.abc import Sequence

from gancli.config.pictures import PictureOptions
from gancli.data.pictures import deep
from gancli.data.pictures.facts import Facts
from gancli.data.pictures.formats import advice
from gancli.data.pictures.labels import Labels
from gancli.data.pictures.listing import Listing
from gancli.errors import counted, in_a_list

log = logging.getLogger(__name__)
MAX_BAD = 0.1
MAX_SHOWN_BAD = 3
MIN_TRAINING = 10
"""Warn below this number of training pictures: a generator would memorise them."""
COLOURS = {1: "grey", 3: "RGB", 4: "RGBA"}


def refusal(listing: Listing, facts: Facts, options: PictureOptions) -> str | None:
    """The reason why training would refuse these pictures; None if it would not."""
    if refused := refusal_of_bad(listing, facts, options):
        return refused
    total = len(facts.seen())
    if not total:
        return (
            f"{counted(len(facts.too_small), 'picture')}, and none is as large as --image-size; remove --small-images "
            "skip, or ask for a smaller size"
        )
    if facts.train and facts.heldout:
        return None
    of_one = " of one content" if total > 1 else ""
    unused = frames_of(listing, facts) - total
    cure = f"--frames all takes {counted(unused, 'further frame')}" if unused > 0 else "add others"
    return f"{counted(total, 'picture')}{of_one} cannot be split into those to train on and those held out; {cure}"


def refusal_of_bad(listing: Listing, facts: Facts, options: PictureOptions) -> str | None:
    """The reason why training would refuse this many bad files; None if it would not."""
    bad, total = named(listing, facts.bad), len(listing.entries)
    if not bad:
        return None
    examples = "; ".join(f"{name!r} {reason}" for name, reason in bad[:MAX_SHOWN_BAD])
    examples += "; and so on" if len(bad) > MAX_SHOWN_BAD else ""
    cannot = f"{len(bad):,} of {counted(total, 'picture')} cannot be used"
    if options.bad_images == "error":
        return f"{cannot}: {examples}. Fix or remove them, or add --bad-images skip; gancli data check lists all"
    if len(bad) > MAX_BAD * total:
        return f"{cannot}, more than {MAX_BAD:.0%}: {examples}"
    return None


def named(listing: Listing, rows: Sequence[tuple[int, str]]) -> tuple[tuple[str, str], ...]:
    """Replace each index in the listing by the picture's name; reasons stay."""
    return tuple((listing.entries[row].shown, reason) for row, reason in rows)


def frames_of(listing: Listing, facts: Facts) -> int:
    """Total number of frames and pages in all good files, used or not."""
    return sum(seen.traits.frames for seen in facts.seen() if not listing.entries[seen.row].frame)


def warnings_of(listing: Listing, facts: Facts, options: PictureOptions) -> list[str]:
    """Warnings about the pictures, one sentence each."""
    texts = [advice(listing.unread)]
    unused = frames_of(listing, facts) - len(facts.seen())
    if unused > 0:
        texts.append(f"{_are(unused, 'further frame')} left out; --frames all takes them")
    texts += [_of_range(facts, options)]
    if 0 < len(facts.train) < MIN_TRAINING:
        texts.append(f"only {counted(len(facts.train), 'picture')} to train on: a generator memorises so few")
    return [text for text in texts if text]


def say_what_is_done(
    listing: Listing,
    facts: Facts,
    shape: tuple[int, int, int],
    options: PictureOptions,
    labels: Labels,
    is_own_size: bool,
) -> None:
    """Log how the pictures are read, in one line, and the warnings."""
    channels, height, width = shape
    hint = " (--image-size changes it)" if is_own_size else ""
    notes = [
        f"{counted(len(facts.train), 'picture')} to train on, {len(facts.heldout):,} held out by content",
        f"{height}x{width} {COLOURS[channels]}{hint}, fit {options.fit}",
    ]
    notes += [f"{line} (--range changes it)" for line in deep.described(facts.deep(), facts.ranges(options))]
    notes += [f"classes: {len(labels.classes):,}"] if labels.classes else []
    notes += [f"conditions: {', '.join(map(in_a_list, labels.conditions))}"] if labels.conditions else []
    if transparent := facts.count("has_alpha"):
        ground = "kept" if channels == 4 else f"on {options.alpha}"
        notes.append(f"{transparent:,} with transparent pixels, {ground}")
    notes += [f"other files: {listing.others:,}"] if listing.others else []
    log.info("%s: %s", listing.root, "; ".join(notes))
    if enlarged := facts.count("is_enlarged"):
        log.warning("%s smaller and enlarged; --small-images skip leaves them out.", _are(enlarged, "picture"))
    for text in warnings_of(listing, facts, options):
        log.warning("%s: %s.", listing.root, text)
    warn_of_left_out(listing, facts)


def warn_of_left_out(listing: Listing, facts: Facts) -> None:
    """Warn about skipped files."""
    kinds = ((len(facts.bad), "bad file"), (len(facts.too_small), "too small picture"))
    if left_out := " and ".join(counted(count, kind) for count, kind in kinds if count):
        log.warning("left out of %s: %s; gancli data check names each.", listing.root, left_out)


def _are(number: int, noun: str) -> str:
    return f"{counted(number, noun)} {'is' if number == 1 else 'are'}"


def _of_range(facts: Facts, options: PictureOptions) -> str:
    """A warning if the scaled pictures look black or have little contrast; empty otherwise."""
    pictures, ranges = facts.deep(), facts.ranges(options)
    if not pictures and options.range != "auto" and facts.seen():
        return "--range does nothing, as no picture has more than 8 bits"
    spans = [deep.levels(each, ranges) for each in pictures]
    spans += [(seen.traits.darkest, seen.traits.brightest) for seen in facts.seen() if seen.traits.deep is None]
    if not spans:
        return ""
    darkest, brightest = min(low for low, _ in spans), max(high for _, high in spans)
    cure = "--range LO,HI sets the values that become black and white" if pictures else (
        "if they are labels or of fewer bits, stretch them to 0 to 255"
    )  # fmt: skip
    if brightest < deep.MIN_BRIGHTEST:
        return f"the brightest pixel of all pictures is {brightest} of 255, so they look black; {cure}"
    if pictures and brightest - darkest < deep.MIN_BRIGHTEST:
        return f"the pixels of all pictures lie between {darkest} and {brightest} of 255; {cure}"
    return ""
