"""Says in the log where a training with stages stands, and how well an encoder and its decoder keep pictures."""

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
"""Held-out images at most whose reconstruction is measured."""


@dataclass
class StageNotes(Callback):
    """Logs each stage when it begins or a resumed run is in it."""

    heldout: Split
    device: torch.device

    def on_stage(self, loop: Loop) -> None:
        """Name the stage; in one that rests on an encoder, say what no sample can do better than."""
        stage = loop.step.stage
        log.info("stage: %s, from step %d on", stage.name, loop.state.step)
        if stage.encoder is not None and len(self.heldout):
            images = torch.as_tensor(self.heldout.images[:MAX_REBUILT])
            error = reconstruction_error(loop.state.ema.reconstruct, images, self.device)  # type: ignore[arg-type]
            log.info("autoencoder: held-out L1 %.3f of the range [-1, 1]; no sample is drawn finer than that", error)


@torch.no_grad()
def reconstruction_error(rebuild: Callable[[Tensor], Tensor], images: Tensor, device: torch.device) -> float:
    """Mean |x - x'| per value over images uint8 ``(N, C, H, W)``, of the range [-1, 1]."""
    total = 0.0
    for part in images.split(batch_size_for(*images.shape[2:])):
        real = to_floats(part, device)
        total += (rebuild(real).float().clamp(-1, 1) - real).abs().mean((1, 2, 3)).sum().item()
    return total / len(images)
