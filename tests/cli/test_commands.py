"""The command line: results on stdout, one line for every mistake, the exit codes that scripts rely on."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gancli.api import TrainResult
from gancli.cli import main, run
from gancli.runs import doctor

TINY = ["--steps", "6", "--batch-size", "16", "--threads", "1", "--log-every", "3", "--recipe", "vanilla"]
MNIST = Path(__file__).parents[2] / "configs" / "mnist.toml"
Capture = pytest.CaptureFixture[str]


def fails(capsys: Capture, code: int, *arguments: str) -> str:
    """Run a command that must fail with this code and one line on stderr; returns the line."""
    capsys.readouterr()
    assert run(list(arguments)) == code
    out, errors = capsys.readouterr()
    lines = [line for line in errors.splitlines() if not line.startswith("gancli: device")]
    assert out == ""
    assert len(lines) == 1, errors
    assert lines[0].startswith("gancli: error: ")
    return lines[0]


def test_of_the_processes_of_a_machine_one_tells_what_is_wrong(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = ("train", "--recipe", "dcgam")
    assert "dcgan" in fails(capsys, 2, *wrong)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert run(list(wrong)) == 2
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--epoch", "3"], "--epochs"),
        (["trian"], "train"),
        (["train", "--lr", "1e-4"], "--set d_lr=VALUE and --set g_lr=VALUE"),
        (["train", "--d-lr", "1e-4"], "--set d_lr=VALUE."),
        (["train", "--learning-rate", "1e-4"], "--set d_lr=VALUE and --set g_lr=VALUE"),
        (["train", "--gpu", "0"], "there is no flag --gpu; did you mean --device?"),
        (["train", "--batch_size", "8"], "there is no flag --batch_size; did you mean --batch-size?"),
        (["train", "--xyzzy", "8"], "there is no flag --xyzzy; gancli train --help lists"),
        (["sample", "--network", "x.pth"], "there is no flag --network; did you mean --ckpt?"),
        (["train", "--recipe", "pix2pix"], "choose from acgan"),
        (["train", "--batch-size", "0"], "--batch-size 0 must be more than 0"),
        (["train", "--freeze-d", "2"], "--freeze-d keeps weights that --init-from gave"),
        (["sample", "x.pth", "--ckpt", "x.pth"], "given twice"),
        (["train", "--steps", "many"], "--steps 'many' must be a whole number"),
        (["train", "--recipe", "dcgam"], "did you mean 'dcgan'"),
        (["train", "--recipe", "Dcgan"], "did you mean 'dcgan'"),
        (["train", "--config", str(MNIST), "--recipe", "dcgan"], "hyperparameters of recipe vanilla"),
        (["train", "--data", "digit"], "did you mean 'digits'"),
        (["train", "--device", "cuda:99"], "--device cuda:99"),
        (["train", "--device", "gpu"], "is not a device"),
        (["train", "--set", "d_rl=1"], "did you mean 'd_lr'"),
        (["train", "--set", "objective=x", "--recipe", "vanilla"], "non-saturating"),
        (["train", "--batch-size", "5000"], "more than the 1,4"),
        (["train", "--epochs", "1", "--steps", "1"], "exclude each other"),
        (["train", "--config", "/nonexistent.toml"], "cannot read the configuration"),
        (["train", "--progress", "fancy"], "--progress 'fancy'"),
        (["train", "--precision", "fp8"], "choose from bf16, fp16, fp32"),
        (["train", "--init-from", "none.pth"], "none.pth"),
        (["sample"], "--ckpt"),
        (["sample", "--ckpt", "none.pth"], "No such file"),
        (["sample", "--ckpt", "x.pth", "--n", "0"], "--n 0 must be more than 0"),
        (["eval", "--ckpt", "none.pth", "--fail-if", "fd"], "is not a condition"),
        (["eval", "--ckpt", "none.pth"], "No such file"),
        (["recipes", "dgcan"], "did you mean 'dcgan'"),
    ],
)
def test_every_mistake_is_one_line_and_exit_code_2(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in fails(capsys, 2, *arguments)
    assert not list(tmp_path.iterdir()), "a refused command left something behind"


def test_resuming_where_there_is_nothing(capsys: Capture, tmp_path: Path) -> None:
    assert "there is no run in" in fails(capsys, 2, "train", "--resume", "latest", "--out", str(tmp_path / "none"))
    assert "is not the folder of a run" in fails(capsys, 2, "train", "--resume", str(tmp_path))


def test_out_that_is_a_file(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    fails(capsys, 2, "train", *TINY, "--out", str(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "precious"


def test_train_sample_eval_with_json(capsys: Capture, tmp_path: Path) -> None:
    assert run(["train", *TINY, "--out", str(tmp_path), "--progress", "plain", "--json"]) == 0
    out, errors = capsys.readouterr()
    result = json.loads(out)
    assert result["steps"] == 6
    assert result["metrics"]["d/adv"] > 0
    assert "step 6/6" in errors
    folder = Path(result["run"])
    assert {path.name for path in folder.iterdir()} >= {
        "config.toml", "environment.json", "metrics.jsonl", "tensorboard",
        "samples", "checkpoints", "gen.pth", "dis.pth",
    }  # fmt: skip
    target = tmp_path / "grid.png"
    assert run(["sample", "--ckpt", result["generator"], "--n", "4", "--out", str(target), "--json", "-q"]) == 0
    assert json.loads(capsys.readouterr().out) == {"samples": str(target), "n": 4}
    assert run(["eval", "--ckpt", result["generator"], "--json", "-q"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [figure["metric"] for figure in report["figures"]] == [
        "fd", "kid", "precision", "recall", "density", "coverage", "modes", "reverse_kl", "class_kl",
        "copies", "moved_copies", "leaks", "diversity", "intra_diversity", "is", "authpct", "c_t", "duplicates", "swd",
        "tone",
    ]  # fmt: skip
    assert all(figure["n"] == report["figures"][0]["n"] for figure in report["figures"])


def test_fail_if_leaves_with_4_after_printing_the_figures(capsys: Capture, tiny_run: TrainResult) -> None:
    arguments = ["eval", "--ckpt", str(tiny_run.generator), "-q", "--fail-if", "coverage<=1", "--fail-if", "fd<0"]
    assert run(arguments) == 4
    out, errors = capsys.readouterr()
    assert "coverage_lenet_" in out
    assert re.search(r"coverage is 0\.\d+: --fail-if coverage<=1\.", errors)
    assert "fd<0" not in errors
    assert run([*arguments[:4], "--fail-if", "fd<0"]) == 0


def test_a_diverging_run_leaves_with_3_and_keeps_the_last_good_files(capsys: Capture, tmp_path: Path) -> None:
    arguments = ["train", *TINY, "--out", str(tmp_path), "-q", "--set", "g_lr=1e30", "--set", "d_lr=1e30"]
    assert run(arguments) == 3
    assert "diverged" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.pth"))
    assert not list(tmp_path.rglob("*.pt"))


def test_of_several_processes_one_speaks(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    for rank, speaks in ("1", False), ("0", True):
        monkeypatch.setenv("RANK", rank)
        assert run(["train", *TINY, "--dry-run"]) == 0
        out, errors = capsys.readouterr()
        assert (bool(out), bool(errors)) == (speaks, speaks)


def test_a_dry_run_writes_nothing(capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["train", *TINY, "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["steps"] == 6
    assert plan["config"]["hyperparameters"]["latent_dim"] == 100
    assert plan["images"] + plan["heldout"] == 1797
    assert not list(tmp_path.iterdir())


def test_evaluation_during_training_keeps_the_best(capsys: Capture, tmp_path: Path) -> None:
    arguments = ["train", *TINY, "--out", str(tmp_path), "-q", "--eval-every", "3", "--keep", "1", "--json"]
    assert run(arguments) == 0
    result = json.loads(capsys.readouterr().out)
    lines = [json.loads(line) for line in (Path(result["run"]) / "metrics.jsonl").read_text().splitlines()]
    distances = {line["step"]: next(v for k, v in line.items() if k.startswith("eval/fd_")) for line in lines}
    assert set(distances) == {3, 6}
    kept = {path.name for path in (Path(result["run"]) / "checkpoints").iterdir()}
    assert kept == {f"step-{min(distances, key=distances.__getitem__):06}.pt", "step-000006.pt"}


def test_weights_are_taken_over_from_another_run(capsys: Capture, tmp_path: Path, tiny_run: TrainResult) -> None:
    common = ["train", "--steps", "1", "--batch-size", "16", "--threads", "1", "--out", str(tmp_path), "-q", "--json"]
    import torch

    results = []
    for source in (tiny_run.generator, tiny_run.run):
        still = ["--set", "g_lr=1e-15", "--set", "d_lr=1e-15"]
        assert run([*common, "--init-from", str(source), *still]) == 0
        saved = torch.load(Path(json.loads(capsys.readouterr().out)["discriminator"]), weights_only=True)["weights"]
        results.append(saved)
    trained = torch.load(tiny_run.discriminator, weights_only=True)["weights"]
    assert all(torch.equal(saved[name], trained[name]) for saved in results for name in trained)


def test_recipes_are_listed_and_explained(capsys: Capture) -> None:
    assert run(["recipes"]) == 0
    out = capsys.readouterr().out
    assert "vanilla" in out
    assert "dcgan" in out
    assert run(["recipes", "vanilla", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["hyperparameters"]["g_lr"] == 2e-4


def test_help_names_every_flag_of_the_design(capsys: Capture) -> None:
    assert run(["train", "--help"]) == 0
    text = capsys.readouterr().out
    for flag in ("data", "image-size", "batch-size", "epochs", "steps", "device", "precision", "seed", "deterministic",
                 "out", "resume", "init-from", "save-every", "sample-every", "eval-every", "keep", "config", "set",
                 "dry-run", "progress", "json", "quiet", "threads", "compile"):  # fmt: skip
        assert f"--{flag}" in text


def test_debug_shows_the_traceback_wherever_it_stands(capsys: Capture) -> None:
    for arguments in (["--debug", "sample", "--ckpt", "none.pth"], ["sample", "--ckpt", "none.pth", "--debug"]):
        assert run(arguments) == 2
        assert "Traceback" in capsys.readouterr().err


def test_a_result_that_an_ascii_terminal_cannot_show_is_no_failure(tiny_run: TrainResult, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gancli", "sample", "--ckpt", str(tiny_run.generator), "--out", "schön.png"]
    ascii_only = os.environ | {"PYTHONIOENCODING": "ascii:strict"}
    finished = subprocess.run(command, cwd=tmp_path, env=ascii_only, check=False, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith("samples  sch\\xf6n.png")


def test_closed_streams_stop_no_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    with pytest.raises(SystemExit) as left:
        main(["train", *TINY, "--out", str(tmp_path)])
    for name in ("stdin", "stdout", "stderr"):
        getattr(sys, name).close()
    assert left.value.code == 0 and (next(tmp_path.iterdir()) / "gen.pth").exists()


def stopped(number: signal.Signals) -> None:
    signal.raise_signal(number)


def stopped_in_an_import(number: signal.Signals) -> None:
    """As when a library that is imported half reports an error of its own."""
    try:
        signal.raise_signal(number)
    except BaseException:
        raise AttributeError("module 'sympy' has no attribute 'logic'") from None


@pytest.mark.parametrize("stop", [stopped, stopped_in_an_import])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_outside_of_training_is_one_line_and_its_exit_code(
    number: signal.Signals,
    stop: Callable[[signal.Signals], None],
    capsys: Capture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handlers = {each: signal.signal(each, signal.SIG_DFL) for each in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr(doctor, "examine", lambda run: stop(number))
    try:
        with pytest.raises(SystemExit) as left:
            main(["doctor", str(tmp_path)])
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)
    assert left.value.code == 128 + number
    assert capsys.readouterr() == ("", "gancli: interrupted.\n")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["doctor", ""], "an argument"),
        (["data", "check", ""], "an argument"),
        (["train", "--config", ""], "--config"),
        (["train", "--config="], "--config"),
        (["eval", "--fake", "", "--real", "digits"], "--fake"),
        (["sample", "--ckpt", "x.pth", "-n", ""], "-n"),
    ],
)
def test_an_empty_value_is_not_the_current_folder(capsys: Capture, arguments: list[str], named: str) -> None:
    assert f"error: {named} is empty" in fails(capsys, 2, *arguments)


def test_no_arguments_show_the_help(capsys: Capture) -> None:
    assert run([]) == 2
    shown = capsys.readouterr()
    assert "Usage" in shown.out + shown.err
    assert "error" not in shown.err


def test_a_complete_run_says_that_there_is_nothing_to_resume(capsys: Capture, tmp_path: Path) -> None:
    assert run(["train", *TINY, "--out", str(tmp_path), "-q"]) == 0
    assert run(["train", "--resume", "latest", "--out", str(tmp_path), "-q"]) == 0
    assert "complete" in capsys.readouterr().err
