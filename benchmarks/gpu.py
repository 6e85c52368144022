"""Everything that needs a GPU, in some minutes on one card, going on where it was broken off.

    python benchmarks/gpu.py --data-root DIR
    python benchmarks/gpu.py --tiny --device cpu --out /tmp/gpu.json

What is known of this card and this commit is not done again. Tests, parity and resume go side by side; what is timed
has the card to itself. Prints a table and writes benchmarks/gpu.json.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from gpu_checks import parity, resume
from gpu_rows import Asked, Row, Tasks, do, facts, read, write
from gpu_speed import idle, speed
from gpu_table import print_table
from gpu_tests import tests
from gpu_training import train

from gancli.runs import compile_choice


@dataclass(frozen=True)
class Part:
    """What is done by processes of its own, so that no failure ends the others."""

    tasks: Callable[[Asked], Tasks]
    seconds: float | None = None
    """At most, of the budget; None: as the command line says."""
    processes: int = 1
    """That share the tasks."""
    timed: bool = False
    """Whether it has the card to itself."""


PARTS = {
    "tests": Part(tests),
    "parity": Part(parity, processes=4),
    "resume": Part(resume, processes=3),
    "speed": Part(speed, timed=True),
    "idle": Part(idle, 40, timed=True),
    "train": Part(train, 600, timed=True),
}


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = os.environ.get("GANCLI_DATA_ROOT")
    parser.add_argument("--parts", default=",".join(PARTS), help="names with commas between them")
    parser.add_argument("--only", default="", help='regular expression of what is done, matched in "part: task"')
    parser.add_argument("--budget", type=float, default=540, help="seconds for everything")
    parser.add_argument("--check-seconds", type=float, default=170, help="at most, for tests, parity and resume")
    parser.add_argument("--speed-seconds", type=float, default=240, help="at most, for speed")
    parser.add_argument("--minutes", default="1", help="of each training run, with commas between them")
    parser.add_argument("--emoji-flags", default="", help='of the first training run, such as "--recipe fastgan"')
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--files", type=Path, default=Path("runs/gpu"), help="folder for logs, runs and pictures")
    parser.add_argument("--data-root", type=Path, default=Path(known) if known else None)
    parser.add_argument("--emoji", type=Path, help="default: fluent-emoji.zip in the data root")
    parser.add_argument("--cifar", type=Path, help="default: cifar10-train.zip in the data root")
    parser.add_argument("--device", type=torch.device, default=torch.device("cuda"))
    parser.add_argument("--tiny", action="store_true", help="small sizes, to try the script itself on a CPU")
    parser.add_argument("--fresh", action="store_true", help="do everything anew")
    parser.add_argument("--commit", help="what is measured, where there is no repository to ask")
    parser.add_argument("--share", help=argparse.SUPPRESS)  # of a part's tasks, for a process of its own: "1/4"
    parser.add_argument("--ends", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = set(options.parts.split(",")) - set(PARTS)
    if unknown:
        parser.error(f"no part is called {', '.join(sorted(unknown))}; choose from {', '.join(PARTS)}")
    options.minutes = tuple(float(text) for text in options.minutes.split(","))
    options.data_root = options.data_root or Path("data")
    options.emoji = options.emoji or options.data_root / "fluent-emoji.zip"
    options.cifar = options.cifar or options.data_root / "cifar10-train.zip"
    return options


def rows_of(part: str, number: int, options: argparse.Namespace) -> Path:
    """Where a process of a part writes its rows."""
    return options.files / f"{part}-{number}.jsonl"


def processes_of(part: str, options: argparse.Namespace) -> int:
    """How many share a part's tasks; one where there is little to do."""
    return 1 if options.tiny else PARTS[part].processes


def seconds_for(part: str, options: argparse.Namespace) -> float:
    """A part's share of the budget, at most."""
    return options.speed_seconds if part == "speed" else PARTS[part].seconds or options.check_seconds


def start(part: str, number: int, ends: float, options: argparse.Namespace) -> subprocess.Popen[bytes]:
    """A process that does its share of a part's tasks, leader of a group of its own."""
    rows_of(part, number, options).unlink(missing_ok=True)
    share = f"{number}/{processes_of(part, options)}"
    command = [sys.executable, __file__, *sys.argv[1:], "--parts", part, "--share", share, "--ends", str(ends)]
    log = (options.files / f"{part}-{number}.log").open("w")
    beside = {} if PARTS[part].timed else {"OMP_NUM_THREADS": "2", "TORCHINDUCTOR_COMPILE_THREADS": "2"}
    environment = os.environ | beside
    return subprocess.Popen(command, start_new_session=True, stdout=log, stderr=subprocess.STDOUT, env=environment)


def wait(process: subprocess.Popen[bytes], ends: float) -> None:
    """Until the process ends by itself, or its time is over."""
    try:
        process.wait(timeout=max(0.0, ends - time.time()))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def do_share(options: argparse.Namespace) -> None:
    """In a process of its own: some of a part's tasks."""
    number, processes = (int(text) for text in options.share.split("/"))
    asked = Asked(**{name: getattr(options, name) for name in Asked.__dataclass_fields__})
    compile_choice.use_cache()
    all_tasks = PARTS[options.parts].tasks(asked)
    tasks = [task for task in all_tasks.items() if re.search(options.only, f"{options.parts}: {task[0]}")]
    tasks = tasks[number::processes]
    known = [] if options.fresh else read(options.out)
    do(options.parts, dict(tasks), known, facts(options), asked, rows_of(options.parts, number, options))


def main() -> None:
    """Do the parts that are asked for, within the budget."""
    options = parsed()
    options.files.mkdir(parents=True, exist_ok=True)
    if options.share:
        do_share(options)
        return
    over = time.time() + options.budget
    chosen = [name for name in PARTS if name in options.parts.split(",")]
    groups = [[name for name in chosen if not PARTS[name].timed], *([n] for n in chosen if PARTS[n].timed)]
    rows: list[Row] = read(options.out)
    for group in groups:
        ends = {name: min(over, time.time() + seconds_for(name, options)) for name in group}
        shares = [(name, number) for name in group for number in range(processes_of(name, options))]
        started = [(share, start(*share, ends[share[0]], options)) for share in shares]
        for (name, number), process in started:
            wait(process, ends[name])
            rows = write(options.out, rows, read(rows_of(name, number, options)))
            print(f"{name} {number}: exit code {process.returncode}", flush=True)
    print_table(rows)


if __name__ == "__main__":
    main()
