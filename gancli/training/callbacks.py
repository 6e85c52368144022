"""What a run writes while it goes on: metrics, TensorBoard, sample grids, checkpoints and network files.

A disk that is full, or a folder that is gone, does not end a training that took hours: what cannot be written is a
warning, and is tried again at its next turn. Only the last checkpoint of all must be written, or the run has failed.
"""

import contextlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from gancli import drawing, network_file, pictures
from gancli.errors import CannotSave
from gancli.files import sync_file, write_text_atomically
from gancli.network_file import Origin
from gancli.run_folder import RunFolder
from gancli.training import checkpoint
from gancli.training.loop import Callback, Loop, Record

log = logging.getLogger(__name__)


@contextlib.contextmanager
def tolerated(what: str) -> Iterator[None]:
    """Make an error of the file system inside a warning that names what was not written."""
    try:
        yield
    except OSError as error:
        log.warning("%s was not written (%s); training goes on.", what, error.strerror or error)


@dataclass
class MetricsFile(Callback):
    """``metrics.jsonl``: one object a line. A resumed run first drops the lines after its checkpoint."""

    folder: RunFolder
    _whole: int = field(default=0, init=False)
    """Bytes that were written to their end."""
    _waiting: str = field(default="", init=False)
    """Lines that could not be written yet."""

    def on_start(self, loop: Loop) -> None:
        """Keep the whole lines up to the present step, from which the watch learns what was before."""
        kept = [line for line in whole_lines(self.folder) if line["step"] <= loop.state.step]
        text = "".join(json.dumps(line) + "\n" for line in kept)
        write_text_atomically(self.folder.metrics, text)
        self._whole = len(text.encode())
        for line in kept:
            loop.watch.observe(line)

    def on_record(self, loop: Loop, record: Record) -> None:
        """Append the line, and those before it that did not fit; the first of those is a warning."""
        known = bool(self._waiting)
        self._waiting += json.dumps(record.as_dict()) + "\n"
        with contextlib.suppress(OSError) if known else tolerated(f"A line of {self.folder.metrics}"):
            self._append()

    def sync(self) -> None:
        """Flush the lines to disk."""
        self._append()
        sync_file(self.folder.metrics)

    def _append(self) -> None:
        """An attempt that fails half-way is taken back."""
        content = self._waiting.encode()
        try:
            with self.folder.metrics.open("ab") as file:
                file.write(content)
        except OSError:
            with contextlib.suppress(OSError):
                os.truncate(self.folder.metrics, self._whole)
            raise
        self._whole, self._waiting = self._whole + len(content), ""


@dataclass
class TensorBoard(Callback):
    """The same numbers as scalars, for ``tensorboard --logdir``."""

    folder: RunFolder
    writer: Any = None
    _hook: Any = field(default=None, init=False)

    def on_start(self, loop: Loop) -> None:
        """Open an event file; events after the present step, of a part that was lost, are purged."""
        from torch.utils.tensorboard import SummaryWriter

        with self._given_up():
            self._put_earlier_first()
        self._hook, threading.excepthook = threading.excepthook, self._on_thread_error
        self.writer = SummaryWriter(str(self.folder.tensorboard), purge_step=loop.state.step + 1)

    def on_record(self, loop: Loop, record: Record) -> None:
        """Add every value at its step."""
        with self._given_up():
            for name, value in record.values.items():
                self.writer and self.writer.add_scalar(name, value, record.step)
            for alarm in record.alarms:
                self.writer and self.writer.add_text(f"alarm/{alarm.failure}", str(alarm), record.step)

    def add_grid(self, grid: Tensor, step: int) -> None:
        """Add a grid of samples, uint8 ``(C, H, W)``."""
        with self._given_up():
            self.writer and self.writer.add_image("samples", grid, step)

    def sync(self) -> None:
        """Flush the events to disk."""
        with self._given_up():
            if self.writer:
                self.writer.flush()
                for path in self.folder.tensorboard.iterdir():
                    sync_file(path)

    def close(self) -> None:
        """Flush and close the event file."""
        with self._given_up():
            self.writer and self.writer.close()
        threading.excepthook = self._hook or threading.excepthook

    def _put_earlier_first(self) -> None:
        """Event files are read by name, which is the time: a clock that was set back must not change their order."""
        earlier = sorted(self.folder.tensorboard.glob("events.out.tfevents.*"))
        if earlier and earlier[-1].name >= f"events.out.tfevents.{int(time.time()):010}":
            for number, path in enumerate(earlier):
                path.rename(path.with_name(f"events.out.tfevents.{number:010}.{path.name.split('.', 4)[-1]}"))

    def _on_thread_error(self, error: threading.ExceptHookArgs) -> None:
        """The writer's thread ends with its error, which the next call raises; a traceback too would be noise."""
        if not isinstance(error.exc_value, OSError):
            self._hook(error)

    @contextlib.contextmanager
    def _given_up(self) -> Iterator[None]:
        """After an error of the file system the writer's thread is dead: the rest of the run goes without it."""
        try:
            yield
        except OSError as error:
            log.warning("TensorBoard's file cannot be written (%s); it ends here.", error.strerror or error)
            self.writer = None


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
            with tolerated(str(self.last_samples)):
                pictures.save_png(grid, self.last_samples)
            if self.board is not None:
                self.board.add_grid(grid, loop.state.step)


@dataclass
class Checkpoints(Callback):
    """Checkpoints every so often, with the network files, and when the run stops for whatever reason."""

    folder: RunFolder
    origin: Origin
    keep: int
    records: Sequence[MetricsFile | TensorBoard]
    """What must be on disk before a checkpoint is, since a resume goes on after it."""
    describe: Callable[[], None]
    """Writes the configuration, without which nothing can be resumed."""
    saved_step: int = field(default=-1, init=False)

    def on_start(self, loop: Loop) -> None:
        """Nothing is saved twice after a resume."""
        self.saved_step = loop.state.step if loop.state.step else -1

    def on_step(self, loop: Loop) -> None:
        """Save if it is time."""
        best = loop.state.best.get("step")
        if loop.plan.due(loop.state.step, loop.plan.save_every) or best == loop.state.step:
            loop.require_sound()
            with tolerated(str(self.folder.checkpoint(loop.state.step))):
                self._save_checkpoint(loop)
            with tolerated(str(self.folder.generator)):
                self._save_networks(loop)

    def on_finish(self, loop: Loop) -> None:
        """Save what was not saved; CannotSave if that fails."""
        if self.saved_step == loop.state.step:
            return
        loop.require_sound()
        try:
            self._save_checkpoint(loop)
            self._save_networks(loop)
        except OSError as error:
            left = self.folder.checkpoints()
            rest = f"--resume {self.folder.path} goes on from {left[-1].name}" if left else "there is no checkpoint"
            raise CannotSave(
                f"step {loop.state.step}, the last of this run, cannot be saved ({error.strerror or error}); {rest}."
            ) from error

    def _save_checkpoint(self, loop: Loop) -> None:
        if not self.folder.config.exists():
            log.warning("%s was moved or removed; it is written again, from here on.", self.folder.path)
            self.describe()
        for each in self.records:
            each.sync()
        checkpoint.save(self.folder.checkpoint(loop.state.step), loop.state, self.origin, loop.step.images_seen)
        checkpoint.remove_old(self.folder, self.keep, loop.state.best.get("step"))

    def _save_networks(self, loop: Loop) -> None:
        generator, discriminator = checkpoint.network_files(loop.state, self.origin, loop.step.images_seen)
        network_file.save(self.folder.generator, generator)
        network_file.save(self.folder.discriminator, discriminator)
        if self.folder.checkpoint(loop.state.step).exists():
            self.saved_step = loop.state.step


def whole_lines(folder: RunFolder) -> list[dict[str, Any]]:
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
