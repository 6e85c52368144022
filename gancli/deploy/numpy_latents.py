"""The latents of numbered images without torch: a file to copy, and a text to translate.

The key of a block of 64 images is BLAKE2b of ``seed:images:block``, 8 bytes, shifted right by one bit. Its lower 32
bits seed MT19937, whose words give uniform numbers of 24 bits; Box and Muller's transform makes them normal, 16 at
once.
"""

import hashlib
from collections.abc import Sequence

import numpy as np


def latents(seed: int, numbers: Sequence[int], size: int) -> np.ndarray:
    """float32 ``(len(numbers), size)``: what image k of a seed is drawn from, to the last bit or two."""
    return np.stack([_block(seed, number // 64, size)[number % 64] for number in numbers])


def _block(seed: int, block: int, size: int) -> np.ndarray:
    digest = hashlib.blake2b(f"{seed}:images:{block}".encode(), digest_size=8).digest()
    words = np.random.RandomState((int.from_bytes(digest, "big") >> 1) % 2**32)
    uniform = (words.randint(0, 2**32, 64 * size, np.uint32) % 2**24 / 2**24).reshape(-1, 2, 8)
    radius, angle = np.sqrt(-2 * np.log(1 - uniform[:, 0])), 2 * np.pi * uniform[:, 1]
    normal = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return normal.astype(np.float32).reshape(64, size)
