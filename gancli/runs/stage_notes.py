"""Log the stages of a training, and the reconstruction error of its autoencoder."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gancli.data import Split
from gancli.functional.pixels import to_floats
from gancli.sampling.drawing import batch_size_for
from gancli.training.loop import Callback, Loop

log = logging.getLogger(__name__)
MAX_REBUILT = 256
"""Number of held-out images whose reconstruction is measured."""


@dataclass
class StageNotes(Callback):
    """Log each stage when it begins, and the present one when a run is resumed."""

    heldout: Split
    device: torch.device

    def on_stage(self, loop: Loop) -> None:
        """Log the stage's name; if it begins with encoded images, also the error that bounds every sample."""
        stage = loop.step.stage
        log.info("stage: %s, from step %d on", stage.name, loop.state.step)
        if (stage.encoder or stage.fits) and len(self.heldout):
            images = torch.as_tensor(self.heldout.images[:MAX_REBUILT])
            error = reconstruction_error(loop.state.ema.reconstruct, images, self.device)  # type: ignore[arg-type]
            log.info("autoencoder: held-out L1 %.3f of the range [-1, 1]; no sample is drawn finer than that", error)


@torch.no_grad()
def reconstruction_error(rebuild: Callable[[Tensor], Tensor], images: Tensor, device: torch.device) -> float:
    """Mean |x - x'| over all values in [-1, 1] of images uint8 ``(N, C, H, W)``."""
    total = 0.0
    for part in images.split(batch_size_for(*images.shape[2:])):
        real = to_floats(part, device)
        total += (rebuild(real).float().clamp(-1, 1) - real).abs().mean((1, 2, 3)).sum().item()
    return total / len(images)
