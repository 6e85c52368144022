"""The latents of numbered images without torch. Copy this file, or translate it into another language.

Each block of 64 images has a key: the BLAKE2b digest of ``seed:images:block``, 8 bytes, shifted right by one bit. The
lower 32 bits of the key seed MT19937, whose words give uniform numbers of 24 bits. The Box-Muller transform turns them
into normal numbers, 16 at once.
"""

import hashlib
from collections.abc import Sequence

import numpy as np


def latents(seed: int, numbers: Sequence[int], size: int) -> np.ndarray:
    """Latents of the images with these numbers, float32 ``(len(numbers), size)``, exact to the last bit or two."""
    return np.stack([_block(seed, number // 64, size)[number % 64] for number in numbers])


def _block(seed: int, block: int, size: int) -> np.ndarray:
    digest = hashlib.blake2b(f"{seed}:images:{block}".encode(), digest_size=8).digest()
    words = np.random.RandomState((int.from_bytes(digest, "big") >> 1) % 2**32)
    uniform = (words.randint(0, 2**32, 64 * size, np.uint32) % 2**24 / 2**24).reshape(-1, 2, 8)
    radius, angle = np.sqrt(-2 * np.log(1 - uniform[:, 0])), 2 * np.pi * uniform[:, 1]
    normal = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return normal.astype(np.float32).reshape(64, size)
