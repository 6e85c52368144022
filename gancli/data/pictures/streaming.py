"""Decode pictures each time they are needed, so that neither memory nor disk holds them."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor

from gancli.config.pictures import PictureOptions
from gancli.data.pictures.decoded_cache import Progress, Shape
from gancli.data.pictures.facts import PARTS, Facts, Seen, read_blocks
from gancli.data.pictures.listing import Listing
from gancli.data.pictures.reading import Decoder
from gancli.errors import DataError
from gancli.machine import cores


class StreamedImages:
    """Stands in for a uint8 CPU tensor ``(N, C, H, W)``: it has its shape, length, ``split`` and indexing."""

    dtype, device = torch.uint8, torch.device("cpu")

    def __init__(self, decoder: Decoder, seen: Sequence[Seen], channels: int) -> None:
        self.shape = torch.Size((len(seen), channels, decoder.height, decoder.width))
        self._seen = seen
        self._places = torch.arange(len(seen))
        self._decoder = replace(decoder, options=replace(decoder.options, color="grey")) if channels == 1 else decoder
        self._pool = ThreadPoolExecutor(cores.available(), "decoder")

    def __len__(self) -> int:
        return len(self._seen)

    def __getitem__(self, chosen: Tensor | slice) -> Tensor:
        """Decode the pictures at these places, uint8 ``(n, C, H, W)``; DataError if a file has changed."""
        places = self._places[chosen].tolist()
        if not places:
            return torch.empty(0, *self.shape[1:], dtype=torch.uint8)
        return torch.stack(list(self._pool.map(self._decoded, places)))

    def split(self, size: int) -> Iterator[Tensor]:
        """Yield all pictures, ``size`` at a time."""
        return (self[slice(start, start + size)] for start in range(0, len(self), size))

    def _decoded(self, place: int) -> Tensor:
        seen, listing = self._seen[place], self._decoder.listing
        entry = listing.entries[seen.row]
        reading = self._decoder.read(entry)
        changed = reading.picture is not None and reading.digest.hex() != seen.digest
        if reading.picture is None or changed:
            raise DataError(
                f"{entry.shown!r} of {listing.root} is not what it was when training began "
                f"({'it has changed' if changed else reading.reason}); bring it back, and --resume goes on."
            )
        return torch.from_numpy(reading.picture.pixels)


def streamed(
    listing: Listing, shape: Shape, options: PictureOptions, on_progress: Progress = lambda done, total: None
) -> tuple[dict[str, Tensor], Facts]:
    """Like `decoded`, but keeps no pixels.

    Decodes each picture once now, to find bad and held-out files, and again each time it is needed.
    """
    facts, decoder = Facts(), Decoder(listing, shape[1], shape[2], options)
    on_progress(0, len(listing.entries))
    for block in read_blocks(decoder, 0, shape):
        facts.add(block.facts)
        on_progress(facts.done, len(listing.entries))
    channels = 1 if facts.are_grey(options) else shape[0]
    decoder = replace(decoder, ranges=facts.ranges(options))
    images = {part: StreamedImages(decoder, facts.part(part), channels) for part in PARTS}
    return cast(dict[str, Tensor], images), facts  # callers use only what StreamedImages has
