"""A run that is killed and resumed ends as one that was not: every tensor, every line."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from sample_pictures import folder

from gancli import cli, evaluate, sample, train
from gancli.api import evaluate_run
from gancli.artifacts import checkpoint, network_file
from gancli.artifacts.run_folder import RunFolder
from gancli.config import TrainConfig
from gancli.errors import UsageError
from gancli.machine.distributed import Group
from gancli.runs.prepare import prepare

OPTIONS = ["--steps", "60", "--batch-size", "16", "--log-every", "7", "--save-every", "10", "--sample-every", "20"]
QUIET = ["--threads", "1", "--progress", "none", "--quiet"]


def command(out: Path, *more: str) -> list[str]:
    """A run in a process of its own, which can be killed."""
    return [sys.executable, "-m", "gancli", *flags(out, *more)]


def flags(out: Path, *more: str) -> list[str]:
    return ["train", "--out", str(out), *QUIET, *more]


def lines(folder: RunFolder) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in found]


def only_run(out: Path) -> RunFolder:
    (path,) = out.iterdir()
    return RunFolder(path)


def leaves(value: Any, where: str = "") -> dict[str, Any]:
    """A nested structure as one flat table."""
    if isinstance(value, dict):
        return {k: v for name, part in value.items() for k, v in leaves(part, f"{where}/{name}").items()}
    if isinstance(value, list | tuple):
        return {k: v for i, part in enumerate(value) for k, v in leaves(part, f"{where}/{i}").items()}
    return {where: value}


def assert_same_state(a: RunFolder, b: RunFolder, step: int) -> None:
    first, second = (leaves(torch.load(f.checkpoint(step), weights_only=True)) for f in (a, b))
    assert first.keys() == second.keys()
    assert sum(torch.is_tensor(value) for value in first.values()) > 30
    for name, value in first.items():
        if torch.is_tensor(value):
            assert torch.equal(value, second[name]), name
        elif not name.endswith("seconds"):
            assert value == second[name], name


@pytest.fixture(scope="module", params=[pytest.param("dcgan", marks=pytest.mark.slow), "vanilla"])
def straight(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, RunFolder]:
    out = tmp_path_factory.mktemp("straight")
    assert cli.run(flags(out, "--recipe", request.param, *OPTIONS)) == 0
    return request.param, only_run(out)


@pytest.fixture
def straight_vanilla(straight: tuple[str, RunFolder]) -> tuple[str, RunFolder]:
    """The shorter one alone, for what depends on no recipe."""
    if straight[0] != "vanilla":
        pytest.skip("one recipe is enough")
    return straight


def test_a_killed_run_resumes_bitwise(straight: tuple[str, RunFolder], tmp_path: Path) -> None:
    recipe, unbroken = straight
    process = subprocess.Popen(command(tmp_path, "--recipe", recipe, *OPTIONS))
    deadline = time.monotonic() + 120
    while not any(tmp_path.glob("*/checkpoints/step-000020.pt")) and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert cli.run(flags(tmp_path, "--resume", "latest")) == 0
    resumed = only_run(tmp_path)
    assert_same_state(unbroken, resumed, 60)
    assert lines(resumed) == lines(unbroken)
    assert resumed.generator.read_bytes() == unbroken.generator.read_bytes()
    assert resumed.discriminator.read_bytes() == unbroken.discriminator.read_bytes()
    assert resumed.sample(60).read_bytes() == unbroken.sample(60).read_bytes()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_the_resume_is_bitwise(
    straight_vanilla: tuple[str, RunFolder], tmp_path: Path, number: signal.Signals, code: int
) -> None:
    recipe, unbroken = straight_vanilla
    process = subprocess.Popen(
        command(tmp_path, "--recipe", recipe, *OPTIONS), stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    while not any(tmp_path.glob("*/metrics.jsonl")) or not only_run(tmp_path).metrics.read_text():
        time.sleep(0.002)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    if process.returncode == 0:
        pytest.skip("the run was over before the signal came")
    assert process.returncode == code
    assert "the state is saved" in errors
    assert len(errors.strip().splitlines()) == 1
    assert cli.run(flags(tmp_path, "--resume", "latest")) == 0
    assert_same_state(unbroken, only_run(tmp_path), 60)
    assert lines(only_run(tmp_path)) == lines(unbroken)


def test_a_run_stopped_before_its_first_checkpoint_starts_anew(
    straight_vanilla: tuple[str, RunFolder], tmp_path: Path
) -> None:
    recipe, unbroken = straight_vanilla
    assert cli.run(flags(tmp_path, "--recipe", recipe, *OPTIONS)) == 0
    broken = only_run(tmp_path)
    for path in [*broken.checkpoints(), broken.generator]:
        path.unlink()
    with broken.metrics.open("a") as file:
        file.write('{"step": 61, "half a li')
    assert cli.run(flags(tmp_path, "--resume", str(broken.path))) == 0
    assert_same_state(unbroken, broken, 60)
    assert lines(broken) == lines(unbroken)


def tiny(out: Path, **options: Any) -> RunFolder:
    given = {"steps": 8, "batch_size": 16, "save_every": 4, "threads": 1, "progress": "none", "recipe": "vanilla"}
    return RunFolder(train(out=str(out), **(given | options)).run)


def test_a_damaged_checkpoint_is_stepped_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole, broken = tiny(tmp_path / "a"), tiny(tmp_path / "b")
    content = broken.checkpoint(8).read_bytes()
    broken.checkpoint(8).write_bytes(content[: len(content) // 2])
    train(resume=str(broken.path), progress="none")
    assert "Going back to the checkpoint before it" in caplog.text
    assert_same_state(whole, broken, 8)


@pytest.fixture
def older(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """What is written is as of the version before; undo it to read."""
    monkeypatch.setattr(network_file, "VERSION", 1)
    monkeypatch.setattr(checkpoint, "VERSION", 2)
    return monkeypatch


def test_older_networks_for_points_are_refused_and_those_for_pictures_are_not(
    tmp_path: Path, older: pytest.MonkeyPatch
) -> None:
    points, pictures = (tiny(tmp_path / name, data=name, save_every=2, steps=2) for name in ("ring", "digits"))
    older.undo()
    for refused in (lambda: sample(points.generator, n=1), lambda: train(resume=str(points.checkpoint(2)), steps=4)):
        with pytest.raises(UsageError, match="whose G drew points otherwise"):
            refused()
    assert sample(pictures.generator, n=1).shape == (1, 1, 8, 8)
    assert train(resume=str(pictures.path), steps=4, progress="none").steps == 4


def test_an_older_run_goes_on_with_a_warning_and_defaults_for_what_is_new(
    tmp_path: Path, older: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = tiny(tmp_path, recipe="progressive", steps=2, save_every=2, hyperparameters={"width": 4})
    content = torch.load(run.checkpoint(2), weights_only=True)
    del content["origin"]["hyperparameters"]["grown"]
    torch.save(content, run.checkpoint(2))
    older.undo()
    assert train(resume=str(run.path), steps=3, progress="none").steps == 3
    assert "not bit for bit" in caplog.text
    caplog.clear()
    train(resume=str(run.path), steps=4, progress="none")
    assert "not bit for bit" not in caplog.text


def test_keep_never_trusts_damaged_checkpoints(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = tiny(tmp_path, steps=12, keep=9)
    run.checkpoint(12).write_bytes(b"damaged")
    leftover = run.checkpoint(12).with_name(".step-000016.pt.x.part")
    leftover.touch()
    train(resume=str(run.path), steps=10, keep=1, progress="none")
    assert [path.name for path in run.checkpoints()] == ["step-000010.pt"]
    assert run.checkpoint(12).with_name("step-000012.pt.aside").read_bytes() == b"damaged"
    assert "now called *.aside" in caplog.text and not leftover.exists()
    run.checkpoint(12).write_bytes(b"damaged anew")
    train(resume=str(run.path), steps=10, keep=1, progress="none")
    assert run.checkpoint(12).with_name("step-000012.pt.aside").read_bytes() == b"damaged"
    assert run.checkpoint(12).with_name("step-000012.pt.2.aside").read_bytes() == b"damaged anew"


def test_what_a_death_right_after_the_last_checkpoint_left_out_is_written(tmp_path: Path) -> None:
    run = tiny(tmp_path)
    expected = run.generator.read_bytes(), run.discriminator.read_bytes()
    run.generator.unlink()
    train(resume=str(run.path), progress="none")
    assert (run.generator.read_bytes(), run.discriminator.read_bytes()) == expected


def test_fewer_steps_than_are_done_are_refused_and_nothing_changes(tmp_path: Path) -> None:
    run = tiny(tmp_path)
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match="has done 8 steps, more than the 6"):
        train(resume=str(run.path), steps=6, progress="none")
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_the_precision_may_change_with_a_warning(
    tmp_path: Path, precision: str, caplog: pytest.LogCaptureFixture
) -> None:
    run = tiny(tmp_path)
    for step, each in ((10, precision), (12, "fp32")):
        assert train(resume=str(run.path), steps=step, precision=each, progress="none").steps == step
        assert f"and is now {each}: the run goes on, but not bit for bit" in caplog.text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seed = 0", "seed = 1", "seed was 0 and is now 1"),
        ("batch_size = 16", "batch_size = 8", "batch_size was 16 and is now 8"),
        ("d_lr = 0.0002", "d_lr = 0.1", r"hyperparameters was {'d_lr': 0.0002} and is now {'d_lr': 0.1}"),
        ('recipe = "vanilla"', "", "names no recipe"),
    ],
)
def test_a_configuration_that_was_edited_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    run = tiny(tmp_path)
    text = run.config.read_text()
    assert old in text
    run.config.write_text(text.replace(old, new))
    with pytest.raises(UsageError, match=message):
        train(resume=str(run.path), steps=10, progress="none")


def test_pictures_may_move_but_not_change(tmp_path: Path) -> None:
    folder(tmp_path / "before", 40, height=9, width=9)
    picture_run = tiny(tmp_path / "runs", data=str(tmp_path / "before"), image_size="8", batch_size=8, cache=False)
    (tmp_path / "before").rename(tmp_path / "after")
    moved = {"resume": str(picture_run.path), "data": str(tmp_path / "after"), "progress": "none"}
    assert train(**moved, steps=9).steps == 9
    min((tmp_path / "after").iterdir()).unlink()
    with pytest.raises(UsageError, match="the data have changed"):
        train(**moved, steps=10)


def changed(place: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """A change of a nested table: ``a/b`` is the ``b`` of ``a``."""

    def change(content: dict[str, Any]) -> None:
        *path, last = (int(name) if name.isdecimal() else name for name in place.split("/"))
        for name in path:
            content = content[name]
        content[last] = value

    return change


OPTIMIZER = "g_optimizer/state/0"


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("g", 3, "its g is missing or strange"),
        ("g/layers.0.weight", torch.zeros(3), "is float32 [(]3,[)] in the file"),
        ("d/layers.0.bias", torch.zeros(512).double(), "discriminator's weights do not fit"),
        ("ema/layers.0.bias", torch.full((256,), torch.nan), "not finite"),
        (f"{OPTIMIZER}/exp_avg", torch.zeros(1).expand(2**20, 2**20), "exp_avg has another shape"),
        (f"{OPTIMIZER}/step", torch.tensor(-1.0), "step is no count"),
        (OPTIMIZER, {}, "remembers something else"),
        ("d_optimizer/state/99", {}, "of other parameters"),
        ("feedback", torch.zeros(9), "feedback"),
        ("running", {}, "running means"),
        ("best", {"step": "x"}, "best"),
        ("scaler", 4, "scaler"),
        ("step", -4, "no checkpoint .* can be read"),
        ("step", 5, "no checkpoint .* can be read"),
        ("seconds", float("nan"), "counters"),
        ("rollbacks", "many", "no checkpoint .* can be read"),
    ],
)
def test_a_checkpoint_that_lies_is_refused_before_anything_of_it_is_used(
    straight_tiny: RunFolder, tmp_path: Path, place: str, value: Any, message: str
) -> None:
    run = RunFolder(tmp_path / "copy")
    shutil.copytree(straight_tiny.path, run.path)
    run.checkpoint(4).unlink()
    content = torch.load(run.checkpoint(8), weights_only=True)
    changed(f"state/{place}", value)(content)
    torch.save(content, run.checkpoint(8))
    with pytest.raises(UsageError, match=message):
        train(resume=str(run.path), steps=10, progress="none")


@pytest.fixture(scope="module")
def straight_tiny(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return tiny(tmp_path_factory.mktemp("tiny"))


def test_a_longer_run_goes_on_from_the_shorter_ones_end(tmp_path: Path) -> None:
    long, short = tiny(tmp_path / "a", steps=12), tiny(tmp_path / "b", steps=8)
    train(resume="latest", out=str(tmp_path / "b"), steps=12, progress="none")
    assert_same_state(long, short, 12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recipe": "dcgan"}, "recipe of .* is vanilla, not dcgan"),
        ({"data": "mnist"}, "data of .* is digits, not mnist"),
        ({"seed": 1}, "seed of .* is 0, not 1"),
        ({"batch_size": 32}, "batch_size of .* is 16, not 32"),
        ({"settings": ["d_lr=1"]}, "hyperparameters of .* is {'d_lr': 0.0002}, not {'d_lr': 1.0}"),
        ({"config": TrainConfig()}, "remove config"),
        ({"name": "other"}, "name of .* is digits-vanilla, not other"),
        ({"out": "elsewhere"}, "goes on in its own folder; remove out elsewhere"),
        ({"settings": ["out=elsewhere"]}, "out of .* not elsewhere"),
    ],
)
def test_a_resume_that_would_be_another_run_is_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    run = tiny(tmp_path, steps=4)
    with pytest.raises(UsageError, match=message):
        train(resume=str(run.path), progress="none", **options)


def test_a_run_that_belongs_to_somebody_else_is_refused(tiny_run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sorted(tiny_run.run.rglob("*"))
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    with pytest.raises(UsageError, match=r"nothing may be written to .*; copy it, or start a new run with init_from"):
        train(resume=tiny_run.run, steps=14, progress="none")
    assert sorted(tiny_run.run.rglob("*")) == before


def test_the_same_setting_again_is_no_change(tmp_path: Path) -> None:
    run = tiny(tmp_path, steps=4)
    same: dict[str, Any] = {"settings": ["d_lr=2e-4"], "name": "digits-vanilla", "out": tmp_path}
    assert train(resume=str(run.path), progress="none", steps=5, **same).steps == 5


def test_paths_may_be_paths(tmp_path: Path) -> None:
    pictures = folder(tmp_path / "pictures", 40, height=8, width=8)
    (tmp_path / "x.toml").write_text("batch_size = 8\nsteps = 2\n")
    quiet: dict[str, Any] = {"data": pictures, "progress": "none"}
    first = train(tmp_path / "x.toml", out=tmp_path / "runs", data_root=tmp_path, recipe="vanilla", threads=1, **quiet)
    assert train(resume=first.run, steps=3, **quiet).steps == 3
    config = TrainConfig(out=tmp_path / "runs", recipe="vanilla", steps=2, batch_size=8)  # type: ignore[arg-type]
    second = train(config, init_from=first.generator, **quiet)
    assert second.run.parent == tmp_path / "runs"
    report = evaluate(first.generator, data=pictures, data_root=tmp_path, metrics="tone", plots=tmp_path / "plots")
    assert evaluate(fake=pictures, data=pictures, train=pictures, metrics="tone").figure("tone").value == 0
    ((_, of_run),) = evaluate_run(second.run, data=pictures, metrics="tone")
    assert sample(second.generator, n=3).shape == (3, 3, 8, 8)
    assert report.data and of_run.data


def test_changed_data_are_refused(tmp_path: Path) -> None:
    run = tiny(tmp_path, steps=4)
    saved = torch.load(run.checkpoint(4), weights_only=True)
    saved["origin"]["fingerprint"] = "0" * 16
    torch.save(saved, run.checkpoint(4))
    with pytest.raises(UsageError, match="the data have changed"):
        train(resume=str(run.path), progress="none", steps=5)


def test_keep_leaves_the_newest(tmp_path: Path) -> None:
    run = tiny(tmp_path, steps=10, save_every=2, keep=2)
    assert [path.name for path in run.checkpoints()] == ["step-000008.pt", "step-000010.pt"]


def test_two_runs_of_one_seed_are_the_same_file_and_another_seed_is_not(tmp_path: Path) -> None:
    a, b, c = (tiny(tmp_path / str(i), seed=seed) for i, seed in enumerate((0, 0, 1)))
    assert a.generator.read_bytes() == b.generator.read_bytes()
    assert a.generator.read_bytes() != c.generator.read_bytes()


def test_the_resolved_configuration_repeats_the_run(tmp_path: Path) -> None:
    first = tiny(tmp_path / "a", settings=["d_lr=1e-3"], seed=4)
    again = RunFolder(train(str(first.config), out=str(tmp_path / "b"), progress="none").run)
    assert first.generator.read_bytes() == again.generator.read_bytes()


def test_training_leaves_the_callers_random_numbers_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    tiny(tmp_path, steps=2)
    assert torch.equal(torch.rand(3), expected)


def train_in_two_processes(*arguments: str) -> None:
    port = str(29500 + os.getpid() % 1000)
    launched = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", port, "-m"]
    subprocess.run([*launched, "gancli", "train", *QUIET, *arguments], check=True, capture_output=True)


def test_two_processes_take_one_global_batch(tmp_path: Path) -> None:
    alone = tiny(tmp_path / "one", precision="fp32")
    options = ["--steps", "8", "--batch-size", "16", "--save-every", "4", "--recipe", "vanilla", "--device", "cpu"]
    train_in_two_processes("--out", str(tmp_path / "two"), *options)
    together = only_run(tmp_path / "two")
    a, b = (torch.load(run.checkpoint(8), weights_only=True)["state"]["g"] for run in (alone, together))
    for name, value in a.items():
        torch.testing.assert_close(value, b[name], rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_two_processes_resume_bit_for_bit_what_their_networks_keep_of_images(tmp_path: Path) -> None:
    out, steps = ["--out", str(tmp_path)], ["--steps", "6", "--save-every", "3"]
    train_in_two_processes(*out, *steps, "--batch-size", "16", "--recipe", "began", "--set", "width=2")
    folder = only_run(tmp_path)
    wanted = torch.load(folder.checkpoint(6), weights_only=True)["state"]
    assert wanted["d"]["balance"] > 0
    folder.checkpoint(6).unlink()
    train_in_two_processes("--resume", str(folder.path))
    found = torch.load(folder.checkpoint(6), weights_only=True)["state"]
    for part in ("g", "d", "ema"):
        assert all(torch.equal(value, found[part][name]) for name, value in wanted[part].items())


def test_auto_starts_a_run_and_goes_on_with_it(tmp_path: Path) -> None:
    """The same command both times, with what a run that goes on cannot be given otherwise."""
    (tmp_path / "a.toml").write_text('recipe = "vanilla"\nsave_every = 2\n')
    command = [
        "train",
        "--config",
        str(tmp_path / "a.toml"),
        "--resume",
        "auto",
        "--augment",
        "auto",
        "--batch-size",
        "8",
    ]
    command += ["--out", str(tmp_path / "runs"), *QUIET]
    assert cli.run([*command, "--steps", "4"]) == 0
    run = only_run(tmp_path / "runs")
    for path in run.checkpoint(4), run.generator:
        path.unlink()
    assert cli.run([*command, "--steps", "4"]) == 0
    assert only_run(tmp_path / "runs").generator.is_file()
    assert [line["step"] for line in lines(run)][-1] == 4
    run.config.unlink()  # of a run that has none, nothing can go on
    assert cli.run([*command, "--steps", "4"]) == 0
    assert len(list((tmp_path / "runs").iterdir())) == 2


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_rank_that_is_killed_is_started_again_and_the_run_ends_as_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")  # as docs/scale.md says
    run = ["--nproc-per-node", "2", "-m", "gancli", "train", "--recipe", "vanilla", "--device", "cpu", *QUIET]
    run += ["--batch-size", "16", "--steps", "200", "--save-every", "10", "--resume", "auto"]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--max-restarts", "1"]
    subprocess.run([*launcher, *run, "--out", str(tmp_path / "whole")], check=True)
    with subprocess.Popen([*launcher, *run, "--out", str(tmp_path / "broken")], stderr=subprocess.PIPE) as broken:
        while not list(tmp_path.glob("broken/*/checkpoints/step-*.pt")):
            assert broken.poll() is None
            time.sleep(0.02)
        os.kill(rank_of(broken.pid, 1), signal.SIGKILL)
        errors = broken.communicate()[1].decode()
    assert broken.returncode == 0, errors
    assert "failed" in errors  # as torchrun says of the process
    whole, again = only_run(tmp_path / "whole"), only_run(tmp_path / "broken")
    assert_same_state(whole, again, 200)
    assert lines(whole) == lines(again)


def rank_of(launcher: int, rank: int) -> int:
    """The number of the process of a rank that this torchrun started."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    return next(int(pid) for pid in children if f"\0RANK={rank}\0" in Path(f"/proc/{pid}/environ").read_text())


@pytest.mark.parametrize(
    ("asked", "saves", "samples"),
    [
        ({"steps": 3600}, 500, 180),
        ({"steps": 40_000}, 2000, 2000),
        ({"steps": 3600, "batch_size": 2}, 734, 734),
        ({"steps": 3600, "save_every": 7, "sample_every": 0}, 7, 0),
    ],
    ids=["short", "long", "at most one an epoch", "told"],
)
def test_files_are_written_often_enough_and_cost_little(asked: dict[str, Any], saves: int, samples: int) -> None:
    config = prepare(TrainConfig(recipe="vanilla", threads=1, compile="off", **asked), Group()).resolved.config
    assert (config.save_every, config.sample_every) == (saves, samples)
