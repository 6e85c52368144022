"""The folder of a run: its number, its name, and the path of each file."""

import contextlib
import itertools
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gancli.errors import UsageError
from gancli.files.atomic import remove_leftovers

log = logging.getLogger(__name__)

NUMBERED = re.compile(r"(\d{4,})-")
ASIDE = ".aside"
CHECKPOINT = re.compile(r"step-(\d+)\.pt")
MAX_NAME = 150
"""Most bytes in a run's name; file systems allow 255 for number and name together."""


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run, ``<out>/0003-digits-dcgan``."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved configuration; `gancli train --config` on it repeats the run."""
        return self.path / "config.toml"

    @property
    def metrics(self) -> Path:
        """Metrics, one JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def tensorboard(self) -> Path:
        """Folder of event files."""
        return self.path / "tensorboard"

    @property
    def generator(self) -> Path:
        """The averaged generator, self-contained."""
        return self.path / "gen.pth"

    @property
    def best_generator(self) -> Path:
        """The averaged generator of the best evaluation, if there was one; self-contained."""
        return self.path / "best.pth"

    @property
    def discriminator(self) -> Path:
        """The discriminator, self-contained."""
        return self.path / "dis.pth"

    def sample(self, step: int) -> Path:
        """The grid drawn after a step."""
        return self.path / "samples" / f"{step:06}.png"

    def checkpoint(self, step: int) -> Path:
        """The checkpoint after a step."""
        return self.path / "checkpoints" / f"step-{step:06}.pt"

    def checkpoints(self) -> list[Path]:
        """All checkpoints, oldest step first."""
        paths = [path for path in (self.path / "checkpoints").glob("step-*.pt") if CHECKPOINT.fullmatch(path.name)]
        return sorted(paths, key=step_of)


def go_on_from(folder: RunFolder, step: int) -> None:
    """Prepare the folder of a run that resumes after this step.

    Deletes temporary files. Renames checkpoints of later steps, which are damaged or discarded, so that nothing uses
    them. Call it only while holding the run's lock.
    """
    remove_leftovers(folder.path)
    later = [path for path in folder.checkpoints() if step_of(path) > step]
    for path in later:
        put_aside(path)
    if later:
        log.warning("%s and later ones are now called *%s; nothing uses them.", later[0], ASIDE)


def put_aside(path: Path) -> Path:
    """Rename a file of a discarded part of the run; returns its new, unused name."""
    name = path.with_name(path.name + ASIDE)
    for number in itertools.count(2):
        if not name.exists():
            break
        name = path.with_name(f"{path.name}.{number}{ASIDE}")
    return path.rename(name)


def step_of(checkpoint: Path) -> int:
    """The step in a checkpoint's name."""
    match = CHECKPOINT.fullmatch(checkpoint.name)
    if match is None:
        raise UsageError(f"{checkpoint} is not named like a checkpoint, step-000400.pt.")
    return int(match[1])


def create(out: Path, name: str) -> RunFolder:
    """Make a run folder with the next number; UsageError if ``out`` cannot be written to."""
    safe = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "run"
    safe = safe.encode()[:MAX_NAME].decode(errors="ignore")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with _reserved_number(out) as number:
            folder = out / f"{number:04}-{safe}"
            folder.mkdir()
            return RunFolder(folder)
    except FileExistsError:
        raise UsageError(f"--out {out} is a file; name a folder.") from None
    except OSError as error:
        raise UsageError(f"cannot make a run folder in {out}: {error.strerror}; choose another --out.") from error


@contextlib.contextmanager
def _reserved_number(out: Path) -> Iterator[int]:
    """The next number, reserved for this process while it makes its folder.

    A folder ``.0007`` reserves the number: on any file system, only one process succeeds in making it.
    """
    number = 0
    while True:
        number = max([number, *_numbers(out)]) + 1
        reservation = out / f".{number:04}"
        try:
            reservation.mkdir()
        except FileExistsError:
            continue
        try:
            if number not in _numbers(out):  # another process may have used it
                yield number
                return
        finally:
            with contextlib.suppress(OSError):
                reservation.rmdir()


def newest(out: Path) -> RunFolder:
    """The newest run under ``out`` that has a config.toml; UsageError if there is none."""
    runs = _configured(out)
    if not runs:
        raise UsageError(f"there is no run in {out}; name its folder, or start one with gancli train.")
    return RunFolder(max(runs)[1])


def by_number(path: Path, out: Path) -> Path:
    """The run that ``DIR/0003`` names, or ``0003`` in ``out``; the path itself if that is none, or something else.

    Example:
        >>> by_number(Path("nowhere/0003"), Path("runs")).as_posix()
        'nowhere/0003'
    """
    folder = out if path.parent == Path() else path.parent
    if not path.name.isdecimal() or path.exists() or not folder.is_dir():
        return path
    return next((run for number, run in _numbered(folder) if number == int(path.name)), path)


def has_run(out: Path) -> bool:
    """True if there is a run for `newest`."""
    return bool(_configured(out))


def _configured(out: Path) -> list[tuple[int, Path]]:
    """Runs under ``out`` that have a config.toml, with their numbers."""
    return [run for run in _numbered(out) if RunFolder(run[1]).config.is_file()] if out.is_dir() else []


def _numbered(out: Path) -> list[tuple[int, Path]]:
    """Files and folders named like a run, with their numbers."""
    return [(int(match[1]), Path(entry)) for entry in os.scandir(out) if (match := NUMBERED.match(entry.name))]


def _numbers(out: Path) -> set[int]:
    return {number for number, _ in _numbered(out)}
