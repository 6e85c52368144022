"""Random numbers as a function of (seed, purpose, place), without any state to save.

No draw depends on an earlier one. So training resumes from a step's number alone, and several processes that share a
batch draw what one process would draw.
"""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor


def key(seed: int, purpose: str, *place: int) -> int:
    """A 63-bit hash of the arguments, the same on every machine."""
    text = ":".join([str(seed), purpose, *map(str, place)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(seed: int, purpose: str, *place: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A new generator for one purpose at one place, such as ``generator(0, "latents", step)``."""
    return torch.Generator(device).manual_seed(key(seed, purpose, *place))


BLOCK = 64
"""Number of images whose latents are drawn together."""


def numbered_latents(seed: int, numbers: Sequence[int], latent_dim: int) -> Tensor:
    """Latents of the images with these numbers, from N(0, I): float32 ``(len(numbers), latent_dim)`` on the CPU.

    Latents are drawn in blocks. Image k of a seed has row k mod `BLOCK` of block k div `BLOCK`, so it is the same in
    every batch and in any order.
    """
    blocks = {block: place for place, block in enumerate(dict.fromkeys(number // BLOCK for number in numbers))}
    drawn = torch.empty(len(blocks), BLOCK, latent_dim)
    for block, part in zip(blocks, drawn, strict=True):
        torch.randn(BLOCK, latent_dim, generator=generator(seed, "images", block), out=part)
    return drawn.flatten(0, 1)[[blocks[number // BLOCK] * BLOCK + number % BLOCK for number in numbers]]
