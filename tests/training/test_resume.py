"""A run that is killed and resumed ends as one that was not: every tensor, every line."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from gancli import train
from gancli.config import TrainConfig
from gancli.errors import UsageError
from gancli.preparation import prepare
from gancli.run_folder import RunFolder
from gancli.training.distributed import Group

OPTIONS = ["--steps", "60", "--batch-size", "16", "--log-every", "7", "--save-every", "10", "--sample-every", "20"]
QUIET = ["--threads", "1", "--progress", "none", "--quiet"]


def command(out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "gancli", "train", "--out", str(out), *QUIET, *more]


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


@pytest.fixture(scope="module", params=["dcgan", "vanilla"])
def straight(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, RunFolder]:
    out = tmp_path_factory.mktemp("straight")
    subprocess.run(command(out, "--recipe", request.param, *OPTIONS), check=True)
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
    subprocess.run(command(tmp_path, "--resume", "latest"), check=True)
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
    subprocess.run(command(tmp_path, "--resume", "latest"), check=True)
    assert_same_state(unbroken, only_run(tmp_path), 60)
    assert lines(only_run(tmp_path)) == lines(unbroken)


def test_a_run_stopped_before_its_first_checkpoint_starts_anew(
    straight_vanilla: tuple[str, RunFolder], tmp_path: Path
) -> None:
    recipe, unbroken = straight_vanilla
    subprocess.run(command(tmp_path, "--recipe", recipe, *OPTIONS), check=True)
    broken = only_run(tmp_path)
    for path in [*broken.checkpoints(), broken.generator]:
        path.unlink()
    with broken.metrics.open("a") as file:
        file.write('{"step": 61, "half a li')
    subprocess.run(command(tmp_path, "--resume", str(broken.path)), check=True)
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
        ({"config": TrainConfig()}, "leave --config away"),
    ],
)
def test_a_resume_that_would_be_another_run_is_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    run = tiny(tmp_path, steps=4)
    with pytest.raises(UsageError, match=message):
        train(resume=str(run.path), progress="none", **options)


def test_the_same_setting_again_is_no_change(tmp_path: Path) -> None:
    run = tiny(tmp_path, steps=4)
    assert train(resume=str(run.path), progress="none", settings=["d_lr=2e-4"], steps=5).steps == 5


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


def test_two_processes_take_one_global_batch(tmp_path: Path) -> None:
    alone = tiny(tmp_path / "one", precision="fp32")
    port = str(29500 + os.getpid() % 1000)
    launched = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", port, "-m"]
    options = ["--steps", "8", "--batch-size", "16", "--save-every", "4", "--recipe", "vanilla", "--device", "cpu"]
    subprocess.run(
        [*launched, "gancli", "train", "--out", str(tmp_path / "two"), *QUIET, *options],
        check=True,
        capture_output=True,
    )
    together = only_run(tmp_path / "two")
    a, b = (torch.load(run.checkpoint(8), weights_only=True)["state"]["g"] for run in (alone, together))
    for name, value in a.items():
        torch.testing.assert_close(value, b[name], rtol=1e-3, atol=1e-5)


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
    config = prepare(TrainConfig(recipe="vanilla", threads=1, **asked), Group()).config
    assert (config.save_every, config.sample_every) == (saves, samples)
