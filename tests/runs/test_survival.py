"""What a run does when the disk is full, its folder is gone, its weights are ruined or somebody else holds it."""

import contextlib
import errno
import json
import os
import platform
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer.record_writer import RecordWriter

from gancli import train
from gancli.artifacts import checkpoint
from gancli.artifacts.run_folder import RunFolder
from gancli.errors import CannotSave, DataError, TrainingDiverged, UsageError
from gancli.files import atomic
from gancli.runs import lock
from gancli.training import progress, signals
from gancli.training.loop import Callback, Loop


def tiny(out: Path, **options: Any) -> RunFolder:
    given = {"steps": 12, "batch_size": 16, "save_every": 4, "log_every": 2, "threads": 1, "recipe": "vanilla"}
    return RunFolder(train(out=str(out), progress="none", **(given | options)).run)


def steps(folder: RunFolder) -> list[int]:
    return [json.loads(line)["step"] for line in folder.metrics.read_text().splitlines()]


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system with room for metrics and grids, and not for a checkpoint."""
    folder = Path(tempfile.mkdtemp())
    if shutil.which("mount") is None or subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", folder], capture_output=True, check=False
    ).returncode:  # fmt: skip
        folder.rmdir()
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)
    folder.rmdir()


class During(Callback):
    """Does something after a step."""

    def __init__(self, step: int, act: Any) -> None:
        self.step, self.act = step, act

    def on_step(self, loop: Loop) -> None:
        if loop.state.step == self.step:
            self.act(loop)


def test_a_disk_that_is_full_for_a_while_costs_only_what_did_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    unbroken = tiny(tmp_path / "a")
    sync = atomic.os.fsync

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    acts = [
        During(5, lambda loop: monkeypatch.setattr(atomic.os, "fsync", full)),
        During(9, lambda loop: monkeypatch.setattr(atomic.os, "fsync", sync)),
    ]
    folder = tiny(tmp_path / "b", callbacks=acts)
    assert [path.name for path in folder.checkpoints()] == ["step-000004.pt", "step-000012.pt"]
    assert folder.generator.read_bytes() == unbroken.generator.read_bytes()
    assert "step-000008.pt was not written (No space left on device)" in caplog.text
    assert not list(folder.path.rglob("*.part"))


def test_a_checkpoint_that_never_fits_fails_the_run_at_its_end(
    small_disk: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CannotSave, match=r"No space left on device.*there is no checkpoint"):
        tiny(small_disk)
    folder = RunFolder(next(small_disk.iterdir()))
    assert steps(folder) == [2, 4, 6, 8, 10, 12] and folder.sample(12).exists()
    assert not folder.checkpoints() and not folder.generator.exists()
    assert "Traceback" not in capfd.readouterr().err


def test_a_checkpoint_that_no_longer_fits_leaves_the_older_one(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=40m", small_disk], check=True)
    folder = tiny(small_disk, keep=1)
    newest = folder.checkpoint(12).read_bytes()
    filler = small_disk / "filler"
    with pytest.raises(OSError), filler.open("wb") as file:
        while True:
            file.write(bytes(2**16))
    os.truncate(filler, filler.stat().st_size - 2**18)  # room for the small files
    with pytest.raises(CannotSave, match=r"goes on from step-000012\.pt"):
        train(resume=str(folder.path), steps=16, progress="none")
    assert folder.checkpoint(12).read_bytes() == newest
    filler.unlink()
    assert train(resume=str(folder.path), steps=16, progress="none").steps == 16


def test_lines_that_did_not_fit_are_written_once_they_do(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"

    def hide(loop: Loop) -> None:
        folder = next(each.folder for each in loop.callbacks if hasattr(each, "sync"))
        folder.metrics.rename(hidden)
        folder.metrics.mkdir()  # so that nothing can be appended

    def show(loop: Loop) -> None:
        folder = next(each.folder for each in loop.callbacks if hasattr(each, "sync"))
        folder.metrics.rmdir()
        hidden.rename(folder.metrics)

    assert steps(tiny(tmp_path, save_every=12, callbacks=[During(5, hide), During(9, show)])) == [2, 4, 6, 8, 10, 12]


def test_a_folder_that_vanishes_is_made_again(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    # At one stroke, since TensorBoard's thread may write into a folder that is being deleted.
    vanish = During(6, lambda loop: next(runs.iterdir()).rename(tmp_path / "taken away"))
    folder = tiny(runs, callbacks=[vanish])
    assert [path.name for path in folder.checkpoints()] == ["step-000008.pt", "step-000012.pt"]
    assert folder.generator.is_file() and steps(folder)[-1] == 12
    assert train(resume=str(folder.path), steps=14, progress="none").steps == 14


def test_a_terminal_that_is_gone_ends_the_view_and_not_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone(Callback):
        def on_record(self, loop: Loop, record: Any) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(progress, "choose", lambda view: Gone())
    assert steps(tiny(tmp_path)) == [2, 4, 6, 8, 10, 12]


def test_signals_end_the_loop_and_are_handed_back(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as it is where nohup runs the tests
        watched.append(signal.SIGHUP)
    before = [signal.getsignal(each) for each in watched]
    for number in watched:
        heard: list[int] = []
        with signals.caught(heard.append):
            os.kill(os.getpid(), number)
            assert heard == [number]
            assert all(signal.getsignal(each) == signal.SIG_DFL for each in watched), "a second one ends at once"
    assert [signal.getsignal(each) for each in watched] == before
    with nohup(), signals.caught(lambda number: pytest.fail("nohup asks for silence")):
        os.kill(os.getpid(), signal.SIGHUP)


@contextlib.contextmanager
def nohup() -> Iterator[None]:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("replaced", ["tensorboard", "samples", "gen.pth"])
def test_a_file_where_a_folder_should_be_costs_only_what_lies_there(tmp_path: Path, replaced: str) -> None:
    folder = tiny(tmp_path)
    strange = folder.path / replaced
    if strange.is_file():
        strange.unlink()
        strange.mkdir()
    else:
        shutil.rmtree(strange)
        strange.touch()
    if replaced == "gen.pth":
        with pytest.raises(CannotSave, match="Is a directory"):
            train(resume=str(folder.path), steps=14, progress="none")
    else:
        assert train(resume=str(folder.path), steps=14, progress="none").steps == 14
    assert folder.checkpoint(14).is_file()


def test_an_error_of_the_disk_names_the_file(small_disk: Path) -> None:
    with pytest.raises(OSError) as caught:
        atomic.write_atomically(small_disk / "big", lambda file: file.write(bytes(10**6)))
    assert caught.value.filename == str(small_disk / "big") and not list(small_disk.iterdir())


def test_an_error_between_two_steps_costs_none_of_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    unbroken = tiny(tmp_path / "a")

    def fail(*_: Any) -> None:
        raise DataError("a picture has changed.")

    broken = During(7, lambda loop: setattr(loop.step.setup.real, "batch", fail))
    with pytest.raises(DataError, match="has changed"):
        tiny(tmp_path / "b", callbacks=[broken])
    folder = RunFolder(next((tmp_path / "b").iterdir()))
    assert [path.name for path in folder.checkpoints()] == ["step-000004.pt", "step-000007.pt"]
    assert "step 7 is saved" in caplog.text
    train(resume=str(folder.path), progress="none")
    assert folder.generator.read_bytes() == unbroken.generator.read_bytes()
    assert steps(folder) == steps(unbroken)


def test_an_error_within_a_step_saves_no_half_of_it(tmp_path: Path) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("a kernel failed")

    broken = During(7, lambda loop: setattr(loop.step, "update", fail))
    with pytest.raises(RuntimeError, match="a kernel failed"):
        tiny(tmp_path, callbacks=[broken])
    assert [path.name for path in RunFolder(next(tmp_path.iterdir())).checkpoints()] == ["step-000004.pt"]


@pytest.mark.parametrize("network", ["g", "d", "ema"])
def test_ruined_weights_overwrite_nothing(tmp_path: Path, network: str) -> None:
    def ruin(loop: Loop) -> None:
        usual = loop.step.update

        def ruined(*arguments: Any) -> Any:
            outcome = usual(*arguments)
            with torch.no_grad():
                next(getattr(loop.state, network).parameters())[0] = float("nan")
            return outcome

        loop.step.update = ruined

    with pytest.raises(TrainingDiverged, match=f"{network}'s .* no longer finite"):
        tiny(tmp_path, callbacks=[During(7, ruin)])
    folder = RunFolder(next(tmp_path.iterdir()))
    assert [path.name for path in folder.checkpoints()] == ["step-000004.pt"]
    weights = torch.load(folder.generator, weights_only=True)["weights"]
    assert all(value.isfinite().all() for value in weights.values())


def test_a_run_that_somebody_else_holds_is_refused_with_their_name(tmp_path: Path) -> None:
    folder = tiny(tmp_path)
    before = folder.metrics.read_bytes()
    holder = f"process {os.getpid()} on {platform.node()}"
    with lock.held(folder.path), pytest.raises(UsageError, match=holder):
        train(resume="latest", out=str(tmp_path), steps=16, progress="none")
    assert folder.metrics.read_bytes() == before
    assert train(resume="latest", out=str(tmp_path), steps=16, progress="none").steps == 16


def test_a_lock_that_a_dead_process_left_is_no_hindrance(tmp_path: Path) -> None:
    folder = tiny(tmp_path)
    (folder.path / ".lock").touch()
    (folder.path / ".lock.json").write_text('{"pid": 4194305, "host": "elsewhere", "started": "2020-01-01"}')
    assert train(resume=str(folder.path), steps=14, progress="none").steps == 14
    assert not (folder.path / ".lock.json").exists()


def test_the_records_are_on_disk_before_a_checkpoint_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    save = checkpoint.save

    def saved(path: Path, *rest: Any) -> None:
        folder = RunFolder(path.parent.parent)
        seen.append((steps(folder), [event.step for event in events(folder)]))
        save(path, *rest)

    monkeypatch.setattr(checkpoint, "save", saved)
    write = RecordWriter.write
    monkeypatch.setattr(RecordWriter, "write", lambda self, data: (time.sleep(0.02), write(self, data)))  # a slow disk
    tiny(tmp_path)
    assert seen == [([2, 4], [2, 4]), ([2, 4, 6, 8], [2, 4, 6, 8]), ([2, 4, 6, 8, 10, 12], [2, 4, 6, 8, 10, 12])]


def test_a_run_that_begins_anew_shows_each_step_once_in_tensorboard(tmp_path: Path) -> None:
    folder = tiny(tmp_path)
    before = events(folder)
    shutil.rmtree(folder.path / "checkpoints")
    train(resume=str(folder.path), progress="none")
    assert [(event.step, event.value) for event in events(folder)] == [(event.step, event.value) for event in before]


def test_a_clock_that_was_set_back_changes_nothing_in_tensorboard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    folder = tiny(tmp_path, steps=4)
    for steps, jump in (8, -(10**6)), (12, -(10**8)):
        monkeypatch.setattr(time, "time", lambda jump=jump: now + jump)
        train(resume=str(folder.path), steps=steps, progress="none")
    assert [event.step for event in events(folder)] == [2, 4, 6, 8, 10, 12]


def events(folder: RunFolder) -> list[Any]:
    board = EventAccumulator(str(folder.tensorboard))
    board.Reload()
    return board.Scalars("d/adv")
