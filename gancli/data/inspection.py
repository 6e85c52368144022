"""What a folder or an archive of pictures holds, found out before any training."""

import hashlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gancli.data.decoding import BadPicture, Picture, decode
from gancli.data.listing import Entry, list_pictures
from gancli.data.options import PictureOptions
from gancli.data.picture_files import MOST_BAD, labels_of, usual_size

SHEET = 64


@dataclass(frozen=True)
class Inspection:
    """Counts of everything that matters, what would be done, and whether training would refuse it."""

    path: str
    pictures: int
    other_files: int
    formats: dict[str, int]
    modes: dict[str, int]
    smallest: tuple[int, int]
    median: tuple[int, int]
    largest: tuple[int, int]
    """Height and width in the files, by area."""
    classes: dict[str, int]
    duplicates: int
    """Files whose content another one has too."""
    transparent: int
    smaller: int
    """Pictures that would be enlarged."""
    bad: tuple[tuple[str, str], ...]
    image_size: tuple[int, int]
    channels: int
    heldout: int
    memory_bytes: int
    """Of all pictures, decoded."""
    options: dict[str, Any]
    refusal: str | None
    """Why training would not begin; None if it would."""
    sheet: Tensor | None
    """Some of the pictures as training would see them, uint8 ``(n, C, H, W)``."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {name: value for name, value in vars(self).items() if name != "sheet"}


def inspect(path: Path, size: tuple[int, int] | None, options: PictureOptions) -> Inspection:
    """Decode every picture once and count; raises UsageError if there is none."""
    listing = list_pictures(path)
    labels, classes = labels_of(listing, options)
    height, width = size or usual_size(listing)

    def one(entry: Entry) -> tuple[bytes, Picture | str]:
        try:
            content = listing.read(entry)
            return hashlib.blake2b(content, digest_size=8).digest(), decode(content, height, width, options)
        except OSError as error:
            return b"", str(error.strerror or error)
        except (BadPicture, ValueError, MemoryError) as error:
            return b"", str(error)

    formats, modes, contents = Counter[str](), Counter[str](), Counter[bytes]()
    sizes, bad, shown, per_class = [], [], [], Counter[str]()
    transparent = smaller = 0
    all_grey, every = True, max(1, len(listing.entries) // SHEET)
    with ThreadPoolExecutor() as pool:
        for number, (entry, (digest, picture)) in enumerate(
            zip(listing.entries, pool.map(one, listing.entries), strict=True)
        ):
            if isinstance(picture, str):
                bad.append((entry.name, picture))
                continue
            formats[picture.format] += 1
            modes[picture.mode] += 1
            contents[digest] += 1
            sizes.append(picture.size)
            transparent += picture.has_alpha
            smaller += picture.size[0] < height or picture.size[1] < width
            all_grey &= picture.is_grey
            if labels:
                per_class[classes[labels[entry.name]]] += 1
            if number % every == 0 and len(shown) < SHEET:
                shown.append(torch.from_numpy(picture.pixels))
    sizes.sort(key=lambda each: each[0] * each[1])
    channels = {"grey": 1, "rgba": 4}.get(options.color, 1 if all_grey and options.color == "auto" else 3)
    limit = int(options.holdout * 2**64)
    heldout = sum(count for digest, count in contents.items() if int.from_bytes(digest, "big") < limit)
    return Inspection(
        path=str(path), pictures=len(sizes), other_files=listing.others, formats=dict(formats), modes=dict(modes),
        smallest=sizes[0] if sizes else (0, 0), median=sizes[len(sizes) // 2] if sizes else (0, 0),
        largest=sizes[-1] if sizes else (0, 0), classes=dict(sorted(per_class.items())),
        duplicates=sum(count - 1 for count in contents.values()), transparent=transparent, smaller=smaller,
        bad=tuple(bad), image_size=(height, width), channels=channels, heldout=heldout,
        memory_bytes=len(sizes) * channels * height * width, options=options.as_dict(),
        refusal=_refusal(len(sizes), heldout, len(bad), options),
        sheet=torch.stack(shown)[:, :channels] if shown else None,
    )  # fmt: skip


def _refusal(sound: int, heldout: int, bad: int, options: PictureOptions) -> str | None:
    if bad and options.bad_images == "error":
        return f"{bad} files cannot be used; mend or remove them, or add --bad-images skip"
    if bad > MOST_BAD * (sound + bad):
        return f"{bad} of {sound + bad} files cannot be used, more than {MOST_BAD:.0%}"
    if heldout in (0, sound):
        return f"of {sound} pictures {heldout} would be held out; add pictures or change --holdout"
    return None
