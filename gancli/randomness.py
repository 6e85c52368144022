"""Random numbers as a function of (seed, purpose, place), so that nothing about them has to be remembered.

A draw depends on no draw before it: training resumes from a step's number alone, and several processes
that each take their part of a global batch see what one process would have seen.
"""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor


def key(seed: int, purpose: str, *place: int) -> int:
    """A 63-bit integer that is a fixed, well-mixed function of its arguments on every machine."""
    text = ":".join([str(seed), purpose, *map(str, place)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(seed: int, purpose: str, *place: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh generator for one purpose at one place, e.g. ``generator(0, "latents", step)``."""
    return torch.Generator(device).manual_seed(key(seed, purpose, *place))


BLOCK = 64
"""Images whose latents are drawn together."""


def numbered_latents(seed: int, numbers: Sequence[int], latent_dim: int) -> Tensor:
    """Latents of the images that carry these numbers: float32 ``(len(numbers), latent_dim)`` on the CPU.

    Image k of a seed has row k mod `BLOCK` of block k div `BLOCK`, whose N(0, I) is drawn by itself: it is the same in
    every batch, in any order.
    """
    blocks = {block: place for place, block in enumerate(dict.fromkeys(number // BLOCK for number in numbers))}
    drawn = torch.empty(len(blocks), BLOCK, latent_dim)
    for block, part in zip(blocks, drawn, strict=True):
        torch.randn(BLOCK, latent_dim, generator=generator(seed, "images", block), out=part)
    return drawn.flatten(0, 1)[[blocks[number // BLOCK] * BLOCK + number % BLOCK for number in numbers]]
