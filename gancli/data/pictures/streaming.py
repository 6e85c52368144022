"""Pictures that are decoded each time they are asked for, so that neither memory nor disk holds them."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor

from gancli.config.pictures import PictureOptions
from gancli.data.pictures.decoded_cache import Progress, Shape
from gancli.data.pictures.facts import PARTS, Facts, read_blocks
from gancli.data.pictures.listing import Listing
from gancli.data.pictures.reading import read_picture
from gancli.errors import DataError
from gancli.machine import cores


class StreamedImages:
    """Stands for a uint8 tensor ``(N, C, H, W)`` on the CPU, of which it has shape, length, ``split`` and indexing."""

    dtype, device = torch.uint8, torch.device("cpu")

    def __init__(
        self, listing: Listing, rows: Sequence[int], digests: Sequence[str], shape: Shape, options: PictureOptions
    ) -> None:
        self.shape = torch.Size((len(rows), *shape))
        self._listing, self._rows, self._digests = listing, rows, digests
        self._places = torch.arange(len(rows))
        self._options = replace(options, color="grey") if shape[0] == 1 else options
        self._pool = ThreadPoolExecutor(cores.available(), "decoder")

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, chosen: Tensor | slice) -> Tensor:
        """The pictures at these places, decoded now; DataError if one is not what it was."""
        places = self._places[chosen].tolist()
        if not places:
            return torch.empty(0, *self.shape[1:], dtype=torch.uint8)
        return torch.stack(list(self._pool.map(self._decoded, places)))

    def split(self, size: int) -> Iterator[Tensor]:
        """All pictures, ``size`` at a time."""
        return (self[slice(start, start + size)] for start in range(0, len(self), size))

    def _decoded(self, place: int) -> Tensor:
        entry = self._listing.entries[self._rows[place]]
        reading = read_picture(self._listing, entry, self.shape[2], self.shape[3], self._options)
        changed = reading.picture is not None and reading.digest.hex() != self._digests[place]
        if reading.picture is None or changed:
            raise DataError(
                f"{entry.name!r} of {self._listing.root} is not what it was when training began "
                f"({'it has changed' if changed else reading.reason}); bring it back, and --resume goes on."
            )
        return torch.from_numpy(reading.picture.pixels)


def streamed(
    listing: Listing, shape: Shape, options: PictureOptions, on_progress: Progress = lambda done, total: None
) -> tuple[dict[str, Tensor], Facts]:
    """Like `decoded`, but keeps nothing: each picture is decoded once now, to know which are sound and which are held
    out, and again whenever it is asked for."""
    facts = Facts()
    on_progress(0, len(listing.entries))
    for block in read_blocks(listing, 0, shape, options):
        facts.add(block.facts)
        on_progress(facts.done, len(listing.entries))
    shape = (1, *shape[1:]) if facts.are_grey(options) else shape
    images = {part: StreamedImages(listing, facts.rows(part), facts.digests(part), shape, options) for part in PARTS}
    return cast(dict[str, Tensor], images), facts  # all that is asked of either is in the class's first line
