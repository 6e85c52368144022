"""Choose how progress is shown, on stderr, while pictures are decoded and while a run is trained."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from gancli.errors import UsageError, nearest
from gancli.training import terminal
from gancli.training.loop import Callback, Loop, Record
from gancli.training.views import PlainView, RichView, TqdmView

View = Literal["auto", "rich", "tqdm", "plain", "none"]
DECODING_SECONDS = 10.0
"""Time between two lines while pictures are decoded."""


def choose(view: View) -> Callback:
    """The view of that name; ``auto`` means Rich on a terminal, tqdm in a notebook, plain lines elsewhere."""
    if view == "auto":
        view = _suitable()
    views = {"rich": RichView, "tqdm": TqdmView, "plain": PlainView, "none": Callback}
    if view not in views:
        raise UsageError(f"progress={view!r}: {nearest(view, ['auto', *views])}")
    return views[view]()


@contextlib.contextmanager
def decoding_progress(view: View) -> Iterator[Callable[[int, int], None]]:
    """Yield a function of (decoded pictures, total) that updates a bar or prints lines."""
    view = _suitable() if view == "auto" else view
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
    """Print a line every `DECODING_SECONDS`, none if decoding takes less."""
    shown = time.perf_counter()

    def show(done: int, total: int) -> None:
        nonlocal shown
        if time.perf_counter() - shown > DECODING_SECONDS:
            shown = time.perf_counter()
            print(f"decoding {done:,} of {total:,} pictures", file=sys.stderr, flush=True)

    return show


def in_notebook() -> bool:
    """True in an IPython kernel, which shows output in a web page."""
    shell = sys.modules.get("IPython")
    return shell is not None and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell"


def _suitable() -> View:
    if in_notebook():
        return "tqdm"
    return "rich" if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("CI") else "plain"


@dataclass
class SafeView(Callback):
    """A view that ends if its terminal or pipe is gone, without ending the training."""

    view: Callback

    def on_start(self, loop: Loop) -> None:
        """Start the view."""
        self._unless_gone(lambda view: view.on_start(loop))

    def on_stage(self, loop: Loop) -> None:
        """Show the new stage."""
        self._unless_gone(lambda view: view.on_stage(loop))

    def on_step(self, loop: Loop) -> None:
        """Show the step."""
        self._unless_gone(lambda view: view.on_step(loop))

    def on_record(self, loop: Loop, record: Record) -> None:
        """Show the values."""
        self._unless_gone(lambda view: view.on_record(loop, record))

    def on_finish(self, loop: Loop) -> None:
        """Show the end."""
        self._unless_gone(lambda view: view.on_finish(loop))

    def close(self) -> None:
        """Close the view."""
        self._unless_gone(lambda view: view.close())

    def _unless_gone(self, show: Callable[[Callback], None]) -> None:
        try:
            show(self.view)
        except OSError:
            closed, self.view = self.view, Callback()
            with contextlib.suppress(OSError):
                closed.close()
