"""Images to features, once; every metric reads these."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gancli.evaluation.extractors import Extractor, to_floats


@dataclass(frozen=True)
class Features:
    """What an extractor says of N images, and where it came from."""

    values: Tensor
    """float64 ``(N, d)`` on the CPU."""
    logits: Tensor | None
    """float64 ``(N, classes)`` on the CPU, of a classifier."""
    extractor: str
    split: str
    """Which images: ``train``, ``heldout`` or ``generated``."""

    def __len__(self) -> int:
        return len(self.values)


@torch.inference_mode()
def extract(images: Tensor, extractor: Extractor, split: str, batch_size: int = 256) -> Features:
    """Features of uint8 images ``(N, C, H, W)``, computed in batches on the extractor's device."""
    device = next(extractor.network.parameters()).device
    parts = [extractor.network(to_floats(batch, device)) for batch in images.split(batch_size)]
    values = torch.cat([features.double().cpu() for features, _ in parts])
    logits = None if parts[0][1] is None else torch.cat([each.double().cpu() for _, each in parts])
    return Features(values, logits, extractor.name, split)
