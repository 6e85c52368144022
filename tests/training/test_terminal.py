"""What stays on the screen of a real terminal: every line that is logged while a view is open."""

import fcntl
import json
import os
import pty
import struct
import sys
import termios
from pathlib import Path

import pyte
import pytest

FAILS = ["--recipe", "vanilla", "--batch-size", "16", "--watch-every", "20", "--threads", "1", "--save-every", "40"]
FAILS += ["--set", "d_lr=2e-3", "--set", "g_lr=1e-5"]
TRAIN = """
import resource, sys
from gancli.cli import run

resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # as if the disk were full
sys.exit(run(sys.argv[1:]))
"""
BARS = """
import logging
from gancli.cli.output import bar, set_up_log
from gancli.training.progress import decoding_progress

set_up_log(quiet=False)
log = logging.getLogger("gancli.test")
with decoding_progress("auto") as show, bar("drawing", 10, quiet=False) as advance:
    for done in (2, 5, 10):
        show(done, 10)
        log.warning("%d of 10 pictures are decoded.", done)
    for done in (2, 5, 3):
        advance(done)
        log.warning("%d more pictures are drawn.", done)
log.warning("all is over.")
with decoding_progress("auto") as show:
    show(3, 10)
    raise SystemExit("gancli: error: the fourth picture is bad.")
"""


def shown(columns: int, rows: int, *arguments: str) -> list[str]:
    """The lines of a terminal of this size, and those scrolled out at its top, after a Python process has ended."""
    child, terminal = pty.fork()
    if child == 0:
        unset = ("COLUMNS", "LINES", "CI")
        kept = {name: value for name, value in os.environ.items() if name not in unset}
        os.execve(sys.executable, [sys.executable, *arguments], kept | {"TERM": "xterm-256color"})
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    screen = pyte.HistoryScreen(columns, rows, history=2000)
    stream = pyte.ByteStream(screen)
    while True:
        try:
            stream.feed(os.read(terminal, 65536))
        except OSError:  # Linux's word for the end
            break
    os.waitpid(child, 0)
    os.close(terminal)
    above = ["".join(line[x].data for x in range(columns)) for line in screen.history.top]
    return [line.rstrip() for line in (*above, *screen.display)]


def squeezed(text: str) -> str:
    """Without white space, since terminals break lines."""
    return "".join(text.split())


def logged(run: Path) -> list[str]:
    """The lines that a run's metrics say were logged."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    alarms = [alarm for line in lines for alarm in line.get("alarms", ())]
    told = [f"gancli: warning: step {a['step']}: {a['evidence']} {a['advice']}" for a in alarms]
    backs = [line["rollback"]["number"] for line in lines if "rollback" in line]
    return told + [f"gancli: warning: rollback {number} of 3 to step 0: other draws" for number in backs]


@pytest.mark.parametrize(
    ("columns", "rows", "view", "on_failure"),
    [(80, 24, "auto", "warn"), (120, 40, "auto", "warn"), (80, 24, "auto", "rollback"), (120, 40, "tqdm", "warn")],
)
def test_what_a_run_logs_stays_readable(columns: int, rows: int, view: str, on_failure: str, tmp_path: Path) -> None:
    arguments = [*FAILS, "--steps", "150", "--progress", view, "--on-failure", on_failure, "--out", str(tmp_path)]
    lines = shown(columns, rows, "-c", TRAIN, "train", *arguments)
    run = next(tmp_path.iterdir())
    text, screen = squeezed("".join(lines)), "\n".join(lines)
    views = 1 + on_failure.count("rollback") * 3
    assert len(logged(run)) >= views
    for line in logged(run):
        assert text.count(squeezed(line)) == 1, f"{line}\n{screen}"
    not_saved = f"gancli: warning: {run}/checkpoints/step-000040.pt was not written (File too large)"
    assert text.count(squeezed(not_saved)) == views, screen
    assert sum("images/s" in line or "step/s" in line for line in lines) == views, f"no stale bar\n{screen}"
    assert all(line.startswith("gancli: ") for line in lines if "gancli:" in line), screen
    assert "gancli: error: " in screen


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (120, 40)])
def test_lines_beside_bars_stay_and_the_bars_go(columns: int, rows: int) -> None:
    lines = [line for line in shown(columns, rows, "-c", BARS) if line]
    decoded = [f"gancli: warning: {done} of 10 pictures are decoded." for done in (2, 5, 10)]
    drawn = [f"gancli: warning: {done} more pictures are drawn." for done in (2, 5, 3)]
    assert lines == [*decoded, *drawn, "gancli: warning: all is over.", "gancli: error: the fourth picture is bad."]
