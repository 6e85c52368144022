"""A data set in memory: training and held-out images, their labels, and a fingerprint of both."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from gancli.data.conditions import Conditions
from gancli.errors import UsageError


@dataclass(frozen=True)
class Mixture:
    """A mixture of Gaussians in the plane, with equal weights, from which points are drawn."""

    centres: tuple[tuple[float, float], ...]
    sigma: float
    """Standard deviation of each Gaussian, the same in every direction."""
    scale: float
    """A split's values times this factor are coordinates."""


@dataclass(frozen=True)
class Split:
    """Images or points, with optional labels or conditions.

    Images are uint8 ``(N, C, H, W)``. Points are float32 ``(N, 2, 1, 1)``, nearly all in [-1, 1]. Labels are int64
    ``(N,)``. Conditions are float64 ``(N, K)``, in the user's units.
    """

    images: Tensor
    labels: Tensor | None = None
    conditions: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class DataSet:
    """Images to train on (`train`) and images that only evaluation sees (`heldout`)."""

    name: str
    train: Split
    heldout: Split
    classes: tuple[str, ...] = ()
    mixture: Mixture | None = None
    """The distribution of points; None for pictures."""
    known_fingerprint: str | None = None
    """The fingerprint, if reading the data computed it."""
    skipped: tuple[tuple[str, str], ...] = ()
    """Files that were skipped, each with the reason."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options that a folder or archive was read with; see `PictureOptions`."""
    channels: "DataSet | None" = None
    """Labelled grey images, from which each image takes its channels; the channels' classes are its mode."""
    conditions: Conditions | None = None
    """Names and scales of the conditions, in place of classes."""

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change when an image, a label, the order or the split changes."""
        if self.known_fingerprint:
            return self.known_fingerprint
        digest = hashlib.blake2b(digest_size=8)
        for split in (self.train, self.heldout):
            digest.update(str(tuple(split.images.shape)).encode())
            digest.update(_bytes(split.images))
            for labels in (split.labels, split.conditions):
                if labels is not None:
                    digest.update(_bytes(labels))
        if self.conditions is not None:
            digest.update(str(self.conditions.names).encode())
        return digest.hexdigest()

    def resized(self, height: int, width: int) -> "DataSet":
        """Resize all images by antialiased bilinear interpolation; UsageError for points."""
        if self.train.images.shape[2:] == (height, width):
            return self
        if self.mixture:
            raise UsageError(f"--image-size: {self.name} has points, not images; remove it.")
        train, heldout = (_resize(split, height, width) for split in (self.train, self.heldout))
        return replace(
            self, train=train, heldout=heldout, channels=self.channels and self.channels.resized(height, width)
        )


def split_by_content(images: Tensor, share: float) -> Tensor:
    """A mask of held-out images: bool ``(N,)``, true for about ``share`` of them.

    It depends on each image's bytes alone. Adding images moves none between the splits, and copies of an image are
    always in the same split.
    """
    limit = int(share * 2**64)
    digests = (hashlib.blake2b(image.numpy(), digest_size=8).digest() for image in images.contiguous())
    return torch.tensor([int.from_bytes(digest, "big") < limit for digest in digests])


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.contiguous().numpy().data


def _resize(split: Split, height: int, width: int) -> Split:
    parts = [
        interpolate(part.float(), (height, width), mode="bilinear", antialias=True).round().clamp(0, 255).byte()
        for part in split.images.split(4096)
    ]
    return replace(split, images=torch.cat(parts))
