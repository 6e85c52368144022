"""Write a run's metrics to ``metrics.jsonl`` and to TensorBoard."""

import contextlib
import json
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from gancli.artifacts.run_folder import RunFolder
from gancli.files.atomic import sync_file, write_text_atomically
from gancli.steps.state import TrainState
from gancli.training.descriptions import description
from gancli.training.loop import Callback, Loop, Record

log = logging.getLogger(__name__)
MAX_STEPS = 2**53
"""Lines with a larger step are damaged."""


@contextlib.contextmanager
def tolerated(what: str) -> Iterator[None]:
    """Turn file system errors in this context into a warning that ``what`` was not written."""
    try:
        yield
    except OSError as error:
        log.warning("%s was not written (%s); training goes on.", what, error.strerror or error)


@dataclass
class MetricsFile(Callback):
    """``metrics.jsonl``, one object per line. A resumed run first drops lines after its checkpoint."""

    folder: RunFolder
    _waiting: str = field(default="", init=False)
    """Lines that are not yet written."""

    def on_start(self, loop: Loop) -> None:
        """Keep the complete lines up to the present step, and replay them to the health watch."""
        kept = [line for line in whole_lines(self.folder) if self._came_before(line, loop.state)]
        write_text_atomically(self.folder.metrics, "".join(json.dumps(line) + "\n" for line in kept))
        for line in kept:
            loop.watch.observe(line)

    def _came_before(self, line: dict[str, Any], state: TrainState) -> bool:
        """True if a line precedes the state; a rollback that was not saved is done again."""
        rollback = line.get("rollback")
        number = rollback.get("number") if isinstance(rollback, dict) else 0
        return line["step"] <= state.step and isinstance(number, int) and number <= state.rollbacks

    def on_record(self, loop: Loop, record: Record) -> None:
        """Append the line and earlier unwritten ones; warn at the first line that cannot be written."""
        has_warned = bool(self._waiting)
        self._waiting += json.dumps(record.as_dict()) + "\n"
        with contextlib.suppress(OSError) if has_warned else tolerated(f"A line of {self.folder.metrics}"):
            self._append()

    def sync(self) -> None:
        """Flush the lines to disk."""
        self._append()
        sync_file(self.folder.metrics)

    def _append(self) -> None:
        """Write all waiting lines; undo an incomplete write."""
        with self.folder.metrics.open("ab", buffering=0) as file:
            begin, rest = file.tell(), self._waiting.encode()
            try:
                while rest:
                    rest = rest[file.write(rest) :]
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(begin)
                raise
        self._waiting = ""


@dataclass
class TensorBoard(Callback):
    """The same metrics as scalars, for ``tensorboard --logdir``."""

    folder: RunFolder
    writer: Any = None
    _hook: Any = field(default=None, init=False)

    def on_start(self, loop: Loop) -> None:
        """Open an event file; events after the present step are purged."""
        from torch.utils.tensorboard import SummaryWriter

        self._hook, threading.excepthook = threading.excepthook, self._on_thread_error
        with self._given_up():
            self._put_earlier_first()
            self.writer = SummaryWriter(str(self.folder.tensorboard), purge_step=loop.state.step + 1)

    def on_record(self, loop: Loop, record: Record) -> None:
        """Add every value at its step."""
        with self._given_up():
            for name, value in record.values.items():
                self._add_scalar(name, value, record.step)
            for alarm in record.alarms:
                self.writer and self.writer.add_text(f"alarm/{alarm.failure}", str(alarm), record.step)

    def _add_scalar(self, name: str, value: float, step: int) -> None:
        """Like the writer's `add_scalar`, which has no argument for a description."""
        from torch.utils.tensorboard.summary import scalar

        if self.writer:
            summary = scalar(name, value)
            summary.value[0].metadata.summary_description = description(name)
            self.writer.file_writer.add_summary(summary, step)

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
        """Rename event files from the future: files are read in order of their names, which contain the time."""
        earlier = sorted(self.folder.tensorboard.glob("events.out.tfevents.*"))
        if earlier and earlier[-1].name >= f"events.out.tfevents.{int(time.time()):010}":
            for number, path in enumerate(earlier):
                path.rename(path.with_name(f"events.out.tfevents.{number:010}.{path.name.split('.', 4)[-1]}"))

    def _on_thread_error(self, error: threading.ExceptHookArgs) -> None:
        """Hide the traceback of the writer's thread; the next call raises its error."""
        if not isinstance(error.exc_value, OSError):
            self._hook(error)

    @contextlib.contextmanager
    def _given_up(self) -> Iterator[None]:
        """After a file system error in this context, stop writing: the writer's thread is dead."""
        try:
            yield
        except OSError as error:
            log.warning("TensorBoard's file cannot be written (%s); it ends here.", error.strerror or error)
            self.writer = None


def whole_lines(folder: RunFolder) -> list[dict[str, Any]]:
    """The complete lines of ``metrics.jsonl``; warns of others."""
    if not folder.metrics.exists():
        return []
    lines, dropped = [], 0
    for text in folder.metrics.read_text(errors="replace").splitlines():
        try:
            line = json.loads(text)
            if type(line["step"]) is not int or not 0 <= line["step"] < MAX_STEPS:
                raise ValueError("no valid step")
        except (ValueError, RecursionError, TypeError, KeyError):
            dropped += 1
        else:
            lines.append(line)
    if dropped:
        what = "a line that was" if dropped == 1 else f"{dropped} lines that were"
        log.warning("%s: dropped %s not written to the end.", folder.metrics, what)
    return lines
