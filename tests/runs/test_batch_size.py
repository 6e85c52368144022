"""Memory that does not suffice: what is said, what ``--batch-size auto`` takes, and that parts change nothing."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from sample_pictures import folder

from gancli import train
from gancli.api import dry_run
from gancli.cli import run
from gancli.config import TrainConfig, build
from gancli.errors import OutOfMemory, UsageError, is_out_of_memory
from gancli.machine import memory
from gancli.machine.distributed import Group
from gancli.runs import batch_size, length
from gancli.runs.prepare import prepare
from gancli.steps.step import Step

CPU = torch.device("cpu")
FEW: dict[str, Any] = {"steps": 6, "threads": 1, "progress": "none", "save_every": 2, "watch_every": 0}


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Its one number is how many images fit; more are answered as torch does on the CPU. Then come those tried."""
    images = [16]
    usual = Step.__call__

    def limited(step: Step) -> dict[str, torch.Tensor]:
        most = max(rows.stop - rows.start for rows in step.setup.parts)
        images.append(most)
        if most > images[0]:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 123 bytes. Error 12")
        return usual(step)

    monkeypatch.setattr(Step, "__call__", limited)
    return images


def test_what_fits_is_named_and_gives_the_result_of_the_whole(
    tmp_path: Path, room: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--steps=6", "--save-every=2", "--watch-every=0", "--threads=1", "-q", "--recipe=r3gan"]
    assert run(["train", *flags, f"--out={tmp_path}"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("gancli: error: out of memory on cpu with 64 images at once (tried to allocate 123 bytes).")
    assert "16 fit: --accumulate 4 gives the same result" in said and said.count("\n") == 1
    assert run(["train", "--resume=latest", "--accumulate=4", "-q", f"--out={tmp_path}"]) == 0
    assert "accumulate was 1 and is now 4" in capsys.readouterr().err
    room[0] = 64
    whole = train(recipe="r3gan", out=str(tmp_path / "whole"), **FEW).run
    ends = [
        json.loads((r / "metrics.jsonl").read_text().splitlines()[-1]) for r in (tmp_path / "0001-digits-r3gan", whole)
    ]
    assert ends[0]["d/adv"] == pytest.approx(ends[1]["d/adv"], abs=1e-4) and ends[0]["images_seen"] == 6 * 64


def test_where_parts_would_not_do_a_smaller_batch_is_named_with_the_reason(tmp_path: Path, room: list[int]) -> None:
    with pytest.raises(OutOfMemory, match=r"16 fit: batch_size=16 .*D's logit of an image may depend on the others"):
        train(recipe="dcgan", hyperparameters={"width": 4}, out=str(tmp_path), **FEW)
    room[0] = 1
    with pytest.raises(OutOfMemory, match="Try a smaller batch_size or image_size"):
        train(recipe="vanilla", out=str(tmp_path), **FEW)


def test_what_is_no_lack_of_memory_stays_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = Step.__call__

    def broken(step: Step) -> dict[str, torch.Tensor]:
        monkeypatch.setattr(Step, "__call__", usual)  # so that a measurement after it would succeed
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(Step, "__call__", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        train(out=str(tmp_path), **FEW)
    monkeypatch.setattr(Step, "__call__", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        batch_size.prepare_measured(TrainConfig(batch_size="auto"), Group())
    assert not is_out_of_memory(RuntimeError("could not create a primitive descriptor for a matmul"))
    assert all(map(is_out_of_memory, (MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried to"))))


def test_auto_takes_whole_packs(room: list[int]) -> None:
    room[0] = 40
    pacgan: dict[str, Any] = {"recipe": "pacgan", "hyperparameters": {"pack": 3, "width": 4}}
    assert (
        batch_size.prepare_measured(TrainConfig(threads=1, steps=3, **pacgan), Group()).resolved.config.batch_size
        == 126
    )
    found = batch_size.prepare_measured(TrainConfig(batch_size="auto", threads=1, steps=3, **pacgan), Group())
    assert found.resolved.config.batch_size == 30, "of the 31, a quarter of 126, that fit"


def test_auto_takes_the_recipes_batch_whole_in_parts_or_smaller(
    room: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    def chosen(recipe: str) -> tuple[Any, int, int]:
        config = TrainConfig(recipe=recipe, batch_size="auto", threads=1, steps=3)
        found = batch_size.prepare_measured(config, Group())
        assert found.step.state.step == 0 and found.step.setup.accumulate == found.resolved.config.accumulate
        return found.resolved.config.batch_size, found.resolved.config.accumulate, found.resolved.plan.images_per_step

    with caplog.at_level(logging.INFO):
        assert chosen("r3gan") == (64, 4, 64)
        assert room[1:] == [4, 4, 8, 8, 16, 16, 32], "each size twice, the smallest first, up to the first too large"
        assert chosen("dcgan") == (16, 1, 16)
        room[0] = 64
        assert chosen("r3gan") == (64, 1, 64)
    texts = " ".join(record.getMessage() for record in caplog.records)
    assert "64, in 4 parts, since 16 images fit" in texts and "16, since no more fit" in texts
    room[0] = 3
    with pytest.raises(OutOfMemory, match="not even 4 images"):
        chosen("r3gan")


def test_measuring_changes_no_run(tmp_path: Path) -> None:
    runs = [train(recipe="r3gan", batch_size=size, out=str(tmp_path / str(size)), **FEW) for size in ("auto", 64)]
    assert runs[0].generator.read_bytes() == runs[1].generator.read_bytes()
    assert "batch_size = 64" in (runs[0].run / "config.toml").read_text()


def test_a_step_that_would_take_more_than_there_is_is_not_tried(
    room: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepare(TrainConfig(recipe="vanilla", threads=1, steps=3), Group())
    room[0] = 64
    held = 100
    monkeypatch.setattr(memory, "reset_peak", lambda: True)
    monkeypatch.setattr(memory, "held", lambda: held)
    monkeypatch.setattr(memory, "peak", lambda: held + 10 * room[-1] if room[1:] else held)
    monkeypatch.setattr(memory, "free", lambda device: 170)
    assert batch_size.largest(prepared, 64) == 16, "16 images took 160 bytes of 170; 32 would take 320"
    assert max(room[1:]) == 16


@pytest.mark.skipif(not memory.FREE.exists(), reason="counts of Linux")
def test_the_counts_are_of_this_process() -> None:
    assert memory.reset_peak()
    before = memory.held()
    block = bytearray(200 * 2**20)
    assert memory.held() - before > 150 * 2**20
    del block
    assert memory.peak() - before > 150 * 2**20
    assert memory.reset_peak() and memory.peak() - before < 150 * 2**20
    total = next(int(line.split()[1]) for line in memory.FREE.read_text().splitlines() if line.startswith("MemTotal"))
    assert 0 < (memory.free(CPU) or 0) < 1024 * total
    assert memory.free(torch.device("cuda")) is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"accumulate": 2, "recipe": "dcgan"}, "--accumulate 2 would not give .* recipe dcgan: D's logit"),
        ({"accumulate": 2, "recipe": "unrolled"}, "G's batch normalisation mixes"),
        ({"accumulate": 2, "recipe": "began"}, "no mean over the images"),
        ({"accumulate": 65, "recipe": "vanilla"}, "--accumulate 65 is more than the 64 images"),
        ({"accumulate": 2, "recipe": "vanilla", "top_k": 0.5}, "--top-k chooses among the whole batch"),
        ({"accumulate": 2, "recipe": "vanilla", "batch_size": "auto"}, "does not go with --accumulate"),
    ],
)
def test_parts_that_cannot_be_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        batch_size.prepare_measured(TrainConfig(threads=1, **options), Group())


def test_one_image_is_no_batch_to_normalise() -> None:
    with pytest.raises(UsageError, match=r"1 image \(--batch-size changes it\): .* dcgan normalises .* at least 2\."):
        batch_size.prepare_measured(TrainConfig(threads=1, recipe="dcgan", batch_size=1), Group())


@pytest.mark.parametrize(("recipe", "needs"), [("dcgan", "at least 2"), ("pacgan", "D judges 2 images together")])
def test_too_few_pictures_are_not_called_a_flag_that_nobody_gave(recipe: str, needs: str, tmp_path: Path) -> None:
    data = folder(tmp_path / "two", 2, height=8, width=8)
    with pytest.raises(UsageError, match=rf"^a batch of 1 image \(.*two has no more to train on\): .*{needs}"):
        batch_size.prepare_measured(TrainConfig(threads=1, recipe=recipe, data=str(data)), Group())


def test_networks_that_grow_are_timed_all_along_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight-pixel digits have two stages: a quarter of the run in the first, then fading in, then grown."""
    monkeypatch.setattr(length, "seconds_of", lambda step, multiple: 1.0 + step.state.g.growth.level)
    plan = dry_run(recipe="progressive", steps=80, batch_size=16, threads=1, settings=["width=4"])
    assert plan.seconds == 18 * 1.0 + 62 * 2.0, "two of nine parts, the second up to step 18, are over before it grows"


def test_auto_needs_one_process() -> None:
    with pytest.raises(UsageError, match="several processes"):
        batch_size.prepare_measured(TrainConfig(batch_size="auto"), Group(0, 2))


@pytest.mark.parametrize("given", ["many", "-3", "0", 1.5])
def test_a_batch_size_is_a_number_or_auto(given: Any) -> None:
    with pytest.raises(UsageError, match=r"--batch-size .* must be (a whole number( or auto)?|more than 0)"):
        build(TrainConfig, {"batch_size": given}, "the command line")
    assert build(TrainConfig, {"batch_size": "auto"}, "").batch_size == "auto"
    assert build(TrainConfig, {"batch_size": "32"}, "").batch_size == 32
