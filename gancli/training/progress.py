"""What a person sees while a run goes on: a live view, one bar, or plain lines, always on stderr."""

import contextlib
import os
import re
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
MIN_SECONDS = 10.0
"""Between two plain lines, at least."""
MIN_SHARE = 0.05
"""Of the run's steps between two plain lines, at least, unless `MAX_SECONDS` have passed."""
MAX_SECONDS = 300.0
"""Without a plain line, so that a long run does not seem dead."""
MAX_WIDTH = 120
"""Characters of a plain line."""
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
        """Time left as h:mm:ss, in a stage of which others follow that of this stage alone: their steps differ."""
        total, step = self._loop.plan.total_steps, self._loop.step
        end = step.stage_end(total)
        left = timedelta(seconds=round((end - self._loop.state.step) / self.steps_per_s)) if self.steps_per_s else "?"
        return f"{left} of the stage" if end < total else str(left)


class PlainView(Callback):
    """A line every 10 seconds or 5 % of the run, whichever is longer; at most 5 minutes apart, and one at the end."""

    def __init__(self) -> None:
        self.rate, self._values = Rate(), dict[str, float]()
        self._last_step, self._last_time = 0, 0.0

    def on_start(self, loop: Loop) -> None:
        """Begin to count."""
        self.rate.start(loop)
        self._last_step, self._last_time = loop.state.step, time.perf_counter()

    def on_stage(self, loop: Loop) -> None:
        """Count anew, since steps of another stage take another time and have other values."""
        self.rate.start(loop)
        self._values.clear()

    def on_record(self, loop: Loop, record: Record) -> None:
        """Keep the newest values, and print them if it is time."""
        self._values |= shown_values(record.values)
        total, now = loop.plan.total_steps, time.perf_counter()
        seconds, share = now - self._last_time, (record.step - self._last_step) / total
        is_due = seconds >= MIN_SECONDS and (share >= MIN_SHARE or seconds >= MAX_SECONDS)
        if is_due or record.step == total:
            self._last_step, self._last_time = record.step, now
            print(self._line(loop, record.step), file=sys.stderr, flush=True)

    def _line(self, loop: Loop, step: int) -> str:
        """The line with as many values as fit, the most telling first."""
        line = f"step {step:,}/{loop.plan.total_steps:,} ({step / loop.plan.total_steps:.0%})  epoch {_epochs(loop)}"
        line += f"  {loop.step.stage.name}" if loop.step.stage.name else ""
        line += f"  {self.rate.images_per_s:,.0f} images/s  left {self.rate.left}"
        for name, value in sorted(self._values.items(), key=lambda each: _importance(each[0])):
            part = f"  {name} {value:.3g}"
            line += part if len(line) + len(part) <= MAX_WIDTH else ""
        return line


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

    def on_stage(self, loop: Loop) -> None:
        """Show the stage's name."""
        self._bar.set_description(loop.step.stage.name, refresh=False)

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
    """A live view: a bar over all steps, epoch, speed, time left, the newest values, where the last samples are."""

    def __init__(self) -> None:
        self.rate, self._shown = Rate(), 0.0
        self._live: Any = None
        self._opened = contextlib.ExitStack()
        self._values: dict[str, float] = {}

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
        self._bar = self._bars.add_task("step", total=loop.plan.total_steps)
        self._live = Live(console=Console(stderr=True), auto_refresh=False, transient=False)
        self._opened.enter_context(terminal.live(self._live))
        self._show(loop)

    def on_stage(self, loop: Loop) -> None:
        """Count anew, since steps of another stage take another time and have other values."""
        self.rate.start(loop)
        self._values.clear()

    def on_step(self, loop: Loop) -> None:
        """Redraw, but not too often."""
        if time.perf_counter() - self._shown > REFRESH_SECONDS:
            self._show(loop)

    def on_record(self, loop: Loop, record: Record) -> None:
        """Keep the newest values."""
        self._values |= shown_values(record.values)

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
        step, total = loop.state.step, loop.plan.total_steps
        self._bars.update(self._bar, completed=step, description=f"step {step:,}/{total:,}")
        stage = (loop.step.stage.name,) if loop.step.stage.name else ()
        parts = (
            *stage,
            f"epoch {_epochs(loop)}",
            f"{self.rate.images_per_s:,.0f} images/s",
            f"time left {self.rate.left}",
        )
        speed = Text("   ".join(parts), style="dim")
        samples = _last_samples(loop)
        where = [Text(f"samples: {samples}", style="dim", overflow="fold")] if samples else []
        self._live.update(Group(self._bars, speed, *self._table(), *where), refresh=True)

    def _table(self) -> list[Any]:
        from rich.columns import Columns
        from rich.text import Text

        cells = [
            Text.assemble((f"{name} ", "cyan"), f"{value:.4g}".rjust(9))
            for name, value in sorted(self._values.items(), key=lambda each: _importance(each[0]))
        ]
        return [Columns(cells, padding=(0, 3), equal=True)] if cells else []


def _fitting() -> View:
    if in_notebook():
        return "tqdm"
    return "rich" if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("CI") else "plain"


def _epochs(loop: Loop) -> str:
    """Epochs done and to be done, as ``2.3/10``."""
    done = loop.step.images_seen / loop.plan.images
    total = loop.plan.total_steps * loop.plan.images_per_step / loop.plan.images
    return f"{done:.3g}/{total:.3g}" if total < 1000 else f"{done:,.0f}/{total:,.0f}"


def shown_values(values: Mapping[str, float]) -> dict[str, float]:
    """Metrics to display, under short names: all but ``health/*`` and the time that evaluations take."""
    hidden = (PREFIX, "eval/seconds")
    return {short_name(name): value for name, value in values.items() if not name.startswith(hidden)}


def short_name(name: str) -> str:
    """Without the features that an evaluation's figure rests on: ``eval/fd_lenet_6ec3`` becomes ``fd``."""
    return re.sub(r"(_[a-z0-9]+_[0-9a-f]{4,}|_pixels)$", "", name).removeprefix("eval/")


def _importance(name: str) -> int:
    """Place in a line that is too short for all: losses, then evaluations, then penalties and logits."""
    if name.endswith("/adv"):
        return 0
    return 1 if "/" not in name else 2


def _last_samples(loop: Loop) -> Path | None:
    drawn = [path for path in (getattr(callback, "last_samples", None) for callback in loop.callbacks) if path]
    return drawn[-1] if drawn else None


@dataclass
class Shown(Callback):
    """What a person looks at: a terminal or a pipe that is gone ends the view, not the training."""

    view: Callback

    def on_start(self, loop: Loop) -> None:
        """Begin."""
        self._unless_gone(lambda view: view.on_start(loop))

    def on_stage(self, loop: Loop) -> None:
        """Tell of a new stage."""
        self._unless_gone(lambda view: view.on_stage(loop))

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
