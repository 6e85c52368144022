"""Three views of a running training on stderr: plain lines, one bar, or a live view."""

import contextlib
import re
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from gancli.health.watch import PREFIX
from gancli.training import terminal
from gancli.training.loop import Callback, Loop, Record

MIN_SECONDS = 10.0
"""Least time between two plain lines."""
MIN_SHARE = 0.05
"""Least share of the steps between two plain lines, unless `MAX_SECONDS` have passed."""
MAX_SECONDS = 300.0
"""Longest time without a plain line."""
MAX_WIDTH = 120
"""Characters of a plain line."""
REFRESH_SECONDS = 0.1
"""Time between two updates of the live view."""


class Rate:
    """Images per second and time left, measured since this process's first step."""

    def start(self, loop: Loop) -> None:
        """Start to measure."""
        self._loop, self._first, self._began = loop, loop.state.step, time.perf_counter()

    @property
    def steps_per_s(self) -> float:
        """Mean since `start`."""
        return (self._loop.state.step - self._first) / max(1e-9, time.perf_counter() - self._began)

    @property
    def images_per_s(self) -> float:
        """Real images per second."""
        return self.steps_per_s * self._loop.plan.images_per_step

    @property
    def left(self) -> str:
        """Time left as h:mm:ss; in a stage that others follow, that of this stage alone, because steps differ."""
        total, step = self._loop.plan.total_steps, self._loop.step
        end = step.stage_end(total)
        left = timedelta(seconds=round((end - self._loop.state.step) / self.steps_per_s)) if self.steps_per_s else "?"
        return f"{left} of the stage" if end < total else str(left)


class PlainView(Callback):
    """A line every 10 seconds or 5 % of the run, whichever is longer, but at least every 5 minutes; one at the end."""

    def __init__(self) -> None:
        self.rate, self._values = Rate(), dict[str, float]()
        self._last_step, self._last_time = 0, 0.0

    def on_start(self, loop: Loop) -> None:
        """Start to measure."""
        self.rate.start(loop)
        self._last_step, self._last_time = loop.state.step, time.perf_counter()

    def on_stage(self, loop: Loop) -> None:
        """Restart: steps of another stage take another time and have other values."""
        self.rate.start(loop)
        self._values.clear()

    def on_record(self, loop: Loop, record: Record) -> None:
        """Keep the newest values, and print them if a line is due."""
        self._values |= shown_values(record.values)
        total, now = loop.plan.total_steps, time.perf_counter()
        seconds, share = now - self._last_time, (record.step - self._last_step) / total
        is_due = seconds >= MIN_SECONDS and (share >= MIN_SHARE or seconds >= MAX_SECONDS)
        if is_due or record.step == total:
            self._last_step, self._last_time = record.step, now
            print(self._line(loop, record.step), file=sys.stderr, flush=True)

    def _line(self, loop: Loop, step: int) -> str:
        """The line with as many values as fit, most important first."""
        line = f"step {step:,}/{loop.plan.total_steps:,} ({step / loop.plan.total_steps:.0%})  epoch {_epochs(loop)}"
        line += f"  {loop.step.stage.name}" if loop.step.stage.name else ""
        line += f"  {self.rate.images_per_s:,.0f} images/s  left {self.rate.left}"
        for name, value in sorted(self._values.items(), key=lambda each: _importance(each[0])):
            part = f"  {name} {value:.3g}"
            line += part if len(line) + len(part) <= MAX_WIDTH else ""
        return line


class TqdmView(Callback):
    """One bar over all steps, for notebooks."""

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
        """Advance the bar."""
        self._bar.update()

    def on_record(self, loop: Loop, record: Record) -> None:
        """Show the newest values."""
        shown = shown_values(record.values)
        self._bar.set_postfix({name: f"{value:.3g}" for name, value in shown.items()}, refresh=False)

    def close(self) -> None:
        """Close the bar; it stays visible."""
        self._opened.close()


class RichView(Callback):
    """A live view: a bar over all steps, epoch, speed, time left, newest values, path of the last samples."""

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
        """Restart: steps of another stage take another time and have other values."""
        self.rate.start(loop)
        self._values.clear()

    def on_step(self, loop: Loop) -> None:
        """Redraw, at most every `REFRESH_SECONDS`."""
        if time.perf_counter() - self._shown > REFRESH_SECONDS:
            self._show(loop)

    def on_record(self, loop: Loop, record: Record) -> None:
        """Keep the newest values."""
        self._values |= shown_values(record.values)

    def on_finish(self, loop: Loop) -> None:
        """Draw the last state."""
        self._show(loop)

    def close(self) -> None:
        """Close the view; it stays on the screen."""
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


def _epochs(loop: Loop) -> str:
    """Epochs done and planned, such as ``2.3/10``."""
    done = loop.step.images_seen / loop.plan.images
    total = loop.plan.total_steps * loop.plan.images_per_step / loop.plan.images
    return f"{done:.3g}/{total:.3g}" if total < 1000 else f"{done:,.0f}/{total:,.0f}"


def shown_values(values: Mapping[str, float]) -> dict[str, float]:
    """Metrics to display by short names: all except ``health/*`` and the time of evaluations."""
    hidden = (PREFIX, "eval/seconds")
    return {short_name(name): value for name, value in values.items() if not name.startswith(hidden)}


def short_name(name: str) -> str:
    """A metric's name without its features: ``eval/fd_lenet_6ec3`` -> ``fd``."""
    return re.sub(r"(_[a-z0-9]+_[0-9a-f]{4,}|_pixels)$", "", name).removeprefix("eval/")


def _importance(name: str) -> int:
    """Rank in a line that is too short for all values: losses, evaluations, then penalties and logits."""
    if name.endswith("/adv"):
        return 0
    return 1 if "/" not in name else 2


def _last_samples(loop: Loop) -> Path | None:
    drawn = [path for path in (getattr(callback, "last_samples", None) for callback in loop.callbacks) if path]
    return drawn[-1] if drawn else None
