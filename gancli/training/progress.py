"""What a person sees while a run goes on: a live view, one bar, or plain lines, always on stderr."""

import contextlib
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from gancli.errors import UsageError, nearest
from gancli.health.watch import PREFIX
from gancli.training import terminal
from gancli.training.loop import Callback, Loop, Record

View = Literal["auto", "rich", "tqdm", "plain", "none"]
PLAIN_SECONDS = 30.0
DECODING_SECONDS = 10.0
REFRESH_SECONDS = 0.1


def choose(view: View) -> Callback:
    """The view of that name; ``auto`` is Rich on a terminal, tqdm in a notebook, plain lines elsewhere."""
    if view == "auto":
        view = _fitting()
    views = {"rich": RichView, "tqdm": TqdmView, "plain": PlainView, "none": Callback}
    if view not in views:
        raise UsageError(f"progress={view!r}: {nearest(view, ['auto', *views])}")
    return views[view]()


@contextlib.contextmanager
def decoding_progress(view: View) -> Iterator[Callable[[int, int], None]]:
    """Yields what to call with the pictures decoded and their total: it moves a bar, or prints a line now and then."""
    view = _fitting() if view == "auto" else view
    if view in ("none", "plain"):
        yield _decoding_lines() if view == "plain" else lambda done, total: None
        return
    from tqdm.auto import tqdm

    with contextlib.ExitStack() as opened:
        bars: list[Any] = []

        def show(done: int, total: int) -> None:
            if not bars:
                bars.append(tqdm(total=total, initial=done, desc="decoding", unit=" pictures", leave=False))
                opened.callback(bars[0].close)
                opened.enter_context(terminal.above_bars())
            bars[0].update(done - bars[0].n)
            if done == total:
                opened.close()
                bars.clear()

        yield show


def _decoding_lines() -> Callable[[int, int], None]:
    """A line every ten seconds; none where it takes less."""
    shown = time.perf_counter()

    def show(done: int, total: int) -> None:
        nonlocal shown
        if time.perf_counter() - shown > DECODING_SECONDS:
            shown = time.perf_counter()
            print(f"decoding {done:,} of {total:,} pictures", file=sys.stderr, flush=True)

    return show


def in_notebook() -> bool:
    """Whether this is an IPython kernel, which shows output in a web page."""
    shell = sys.modules.get("IPython")
    return shell is not None and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell"


class Rate:
    """Images per second and time left, counted from the first step of this process on."""

    def start(self, loop: Loop) -> None:
        """Begin to count."""
        self._loop, self._first, self._began = loop, loop.state.step, time.perf_counter()

    @property
    def steps_per_s(self) -> float:
        """Mean over this process's steps."""
        return (self._loop.state.step - self._first) / max(1e-9, time.perf_counter() - self._began)

    @property
    def images_per_s(self) -> float:
        """Real images that D sees in a second."""
        return self.steps_per_s * self._loop.plan.images_per_step

    @property
    def left(self) -> str:
        """Time left as h:mm:ss."""
        steps = self._loop.plan.total_steps - self._loop.state.step
        return str(timedelta(seconds=round(steps / self.steps_per_s))) if self.steps_per_s else "?"


class PlainView(Callback):
    """One line an epoch, or every 30 seconds where epochs are longer."""

    def __init__(self) -> None:
        self.rate, self._epoch, self._shown = Rate(), -1, 0.0

    def on_start(self, loop: Loop) -> None:
        """Begin to count."""
        self.rate.start(loop)
        self._epoch, self._shown = int(_epoch(loop)), time.perf_counter()

    def on_record(self, loop: Loop, record: Record) -> None:
        """Print the line if an epoch or 30 seconds are over, or all is."""
        epoch, now = int(record.epoch), time.perf_counter()
        if epoch > self._epoch or now - self._shown > PLAIN_SECONDS or record.step == loop.plan.total_steps:
            self._epoch, self._shown = epoch, now
            head = f"epoch {record.epoch:.4g}/{_epochs(loop):.4g}  step {record.step}/{loop.plan.total_steps}"
            rate = f"{self.rate.images_per_s:,.0f} images/s  left {self.rate.left}"
            print(f"{head}  {rate}  {_values(record)}", file=sys.stderr, flush=True)


class TqdmView(Callback):
    """One bar over all steps, as notebooks show it."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._opened = contextlib.ExitStack()

    def on_start(self, loop: Loop) -> None:
        """Show the bar."""
        from tqdm.auto import tqdm

        total, done = loop.plan.total_steps, loop.state.step
        self._bar = tqdm(total=total, initial=done, unit="step", dynamic_ncols=True)
        self._opened.callback(self._bar.close)
        self._opened.enter_context(terminal.above_bars())

    def on_step(self, loop: Loop) -> None:
        """Move on."""
        self._bar.update()

    def on_record(self, loop: Loop, record: Record) -> None:
        """Show the newest values."""
        shown = shown_values(record.values)
        self._bar.set_postfix({name: f"{value:.3g}" for name, value in shown.items()}, refresh=False)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._opened.close()


class RichView(Callback):
    """A live view: epoch and step bars, speed, time left, every value, where the last samples are."""

    def __init__(self) -> None:
        self.rate, self._shown = Rate(), 0.0
        self._live: Any = None
        self._opened = contextlib.ExitStack()
        self._record: Record | None = None

    def on_start(self, loop: Loop) -> None:
        """Open the view."""
        from rich.console import Console
        from rich.live import Live
        from rich.progress import BarColumn, Progress, TextColumn

        self.rate.start(loop)
        columns = (
            TextColumn("{task.description:<22}"),
            BarColumn(None),
            TextColumn("{task.percentage:>4.0f}%"),
        )
        self._bars = Progress(*columns, expand=True)
        self._epoch_bar, self._step_bar = self._bars.add_task("epoch"), self._bars.add_task("step")
        self._live = Live(console=Console(stderr=True), auto_refresh=False, transient=False)
        self._opened.enter_context(terminal.live(self._live))
        self._show(loop)

    def on_step(self, loop: Loop) -> None:
        """Redraw, but not too often."""
        if time.perf_counter() - self._shown > REFRESH_SECONDS:
            self._show(loop)

    def on_record(self, loop: Loop, record: Record) -> None:
        """Keep the newest values."""
        self._record = record

    def on_finish(self, loop: Loop) -> None:
        """Draw the end."""
        self._show(loop)

    def close(self) -> None:
        """Leave the last view on the screen."""
        self._opened.close()

    def _show(self, loop: Loop) -> None:
        from rich.console import Group
        from rich.text import Text

        self._shown = time.perf_counter()
        step, total, epoch, epochs = loop.state.step, loop.plan.total_steps, _epoch(loop), _epochs(loop)
        within = 100.0 if step == total else 100 * (epoch % 1)
        self._bars.update(
            self._epoch_bar,
            completed=within,
            description=f"epoch {min(int(epoch) + 1, _ceil(epochs))}/{_ceil(epochs)}",
        )
        self._bars.update(self._step_bar, completed=100 * step / total, description=f"step {step}/{total}")
        speed = Text(f"{self.rate.images_per_s:,.0f} images/s   time left {self.rate.left}", style="dim")
        samples = _last_samples(loop)
        where = [Text(f"samples: {samples}", style="dim", overflow="fold")] if samples else []
        self._live.update(Group(self._bars, speed, *self._table(), *where), refresh=True)

    def _table(self) -> list[Any]:
        from rich.columns import Columns
        from rich.text import Text

        if self._record is None:
            return []
        cells = [
            Text.assemble((f"{name} ", "cyan"), f"{value:.4g}".rjust(9))
            for name, value in shown_values(self._record.values).items()
        ]
        return [Columns(cells, padding=(0, 3), equal=True)]


def _fitting() -> View:
    if in_notebook():
        return "tqdm"
    return "rich" if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("CI") else "plain"


def _epoch(loop: Loop) -> float:
    return loop.step.images_seen / loop.plan.images


def _epochs(loop: Loop) -> float:
    return loop.plan.total_steps * loop.plan.images_per_step / loop.plan.images


def _ceil(epochs: float) -> int:
    return max(1, math.ceil(round(epochs, 1)))


def shown_values(values: Mapping[str, float]) -> dict[str, float]:
    """The values that a person follows; the measurements of the watch are not among them."""
    return {name: value for name, value in values.items() if not name.startswith(PREFIX)}


def _values(record: Record) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in shown_values(record.values).items())


def _last_samples(loop: Loop) -> Path | None:
    found = [path for path in (getattr(callback, "last_samples", None) for callback in loop.callbacks) if path]
    return found[-1] if found else None


@dataclass
class Shown(Callback):
    """What a person looks at: a terminal or a pipe that is gone ends the view, not the training."""

    view: Callback

    def on_start(self, loop: Loop) -> None:
        """Begin."""
        self._unless_gone(lambda view: view.on_start(loop))

    def on_step(self, loop: Loop) -> None:
        """Go on."""
        self._unless_gone(lambda view: view.on_step(loop))

    def on_record(self, loop: Loop, record: Record) -> None:
        """Show the values."""
        self._unless_gone(lambda view: view.on_record(loop, record))

    def on_finish(self, loop: Loop) -> None:
        """Show the end."""
        self._unless_gone(lambda view: view.on_finish(loop))

    def close(self) -> None:
        """Leave the screen."""
        self._unless_gone(lambda view: view.close())

    def _unless_gone(self, show: Callable[[Callback], None]) -> None:
        try:
            show(self.view)
        except OSError:
            gone, self.view = self.view, Callback()
            with contextlib.suppress(OSError):
                gone.close()
