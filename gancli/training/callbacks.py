"""What a run writes while it goes on: metrics, TensorBoard, sample grids, checkpoints and network files."""

import json
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from gancli import drawing, network_file, pictures
from gancli.files import write_text_atomically
from gancli.network_file import Origin
from gancli.run_folder import RunFolder
from gancli.training import checkpoint
from gancli.training.loop import Callback, Loop, Record

log = logging.getLogger(__name__)


@dataclass
class MetricsFile(Callback):
    """``metrics.jsonl``: one object a line. A resumed run first drops the lines after its checkpoint."""

    folder: RunFolder

    def on_start(self, loop: Loop) -> None:
        """Keep the whole lines up to the present step."""
        kept = [line for line in _whole_lines(self.folder) if line["step"] <= loop.state.step]
        text = "".join(json.dumps(line) + "\n" for line in kept)
        write_text_atomically(self.folder.metrics, text)

    def on_record(self, loop: Loop, record: Record) -> None:
        """Append the line."""
        with self.folder.metrics.open("a") as file:
            file.write(json.dumps(record.as_dict()) + "\n")

    def sync(self) -> None:
        """Flush the lines to disk."""
        with self.folder.metrics.open("a") as file:
            os.fsync(file.fileno())


@dataclass
class TensorBoard(Callback):
    """The same numbers as scalars, for ``tensorboard --logdir``."""

    folder: RunFolder
    writer: Any = None

    def on_start(self, loop: Loop) -> None:
        """Open an event file; events after the present step, of a part that was lost, are purged."""
        from torch.utils.tensorboard import SummaryWriter

        purge = loop.state.step + 1 if loop.state.step else None
        self.writer = SummaryWriter(str(self.folder.tensorboard), purge_step=purge)

    def on_record(self, loop: Loop, record: Record) -> None:
        """Add every value at its step."""
        for name, value in record.values.items():
            self.writer.add_scalar(name, value, record.step)

    def add_grid(self, grid: Tensor, step: int) -> None:
        """Add a grid of samples, uint8 ``(C, H, W)``."""
        if self.writer is not None:
            self.writer.add_image("samples", grid, step)

    def close(self) -> None:
        """Flush and close the event file."""
        if self.writer is not None:
            self.writer.close()


@dataclass
class Samples(Callback):
    """A grid of the averaged generator's images, from the same latents every time."""

    folder: RunFolder
    seed: int
    board: TensorBoard | None = None
    point_scale: float | None = None
    """See `drawing.draw_batch`."""
    count: int = 0
    """0: 64 images, or 2,500 points."""
    last_samples: Path | None = None
    """Path of the newest grid."""

    def on_step(self, loop: Loop) -> None:
        """Draw if it is time."""
        if loop.plan.due(loop.state.step, loop.plan.sample_every):
            noise, count = loop.step.noise, self.count or (2500 if self.point_scale else 64)
            drawn = drawing.draw_first(
                loop.state.ema, noise.latent_dim, noise.classes, self.seed, count, self.point_scale
            )
            grid = pictures.sheet(drawn, self.point_scale)
            self.last_samples = self.folder.sample(loop.state.step)
            pictures.save_png(grid, self.last_samples)
            if self.board is not None:
                self.board.add_grid(grid, loop.state.step)


@dataclass
class Checkpoints(Callback):
    """Checkpoints every so often, with the network files, and when the run stops for whatever reason."""

    folder: RunFolder
    origin: Origin
    keep: int
    metrics: MetricsFile
    saved_step: int = field(default=-1, init=False)

    def on_start(self, loop: Loop) -> None:
        """Nothing is saved twice after a resume."""
        self.saved_step = loop.state.step if loop.state.step else -1

    def on_step(self, loop: Loop) -> None:
        """Save if it is time."""
        best = loop.state.best.get("step")
        if loop.plan.due(loop.state.step, loop.plan.save_every) or best == loop.state.step:
            self._save(loop)

    def on_finish(self, loop: Loop) -> None:
        """Save what was not saved."""
        if self.saved_step != loop.state.step:
            self._save(loop)

    def _save(self, loop: Loop) -> None:
        loop.require_finite()
        state, seen = loop.state, loop.step.images_seen
        self.metrics.sync()
        checkpoint.save(self.folder.checkpoint(state.step), state, self.origin, seen)
        generator, discriminator = checkpoint.network_files(state, self.origin, seen)
        network_file.save(self.folder.generator, generator)
        network_file.save(self.folder.discriminator, discriminator)
        checkpoint.remove_old(self.folder, self.keep, state.best.get("step"))
        self.saved_step = state.step


def _whole_lines(folder: RunFolder) -> list[dict[str, Any]]:
    """The lines of ``metrics.jsonl`` that were written to their end."""
    if not folder.metrics.exists():
        return []
    lines = []
    for text in folder.metrics.read_text(errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            log.warning("%s: dropped a line that was not written to its end.", folder.metrics)
            continue
        if isinstance(line, dict) and isinstance(line.get("step"), int):
            lines.append(line)
    return lines
