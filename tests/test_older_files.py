"""Files that gancli 0.1.0 wrote are read as they were then: generators, a run, its configuration, reports.

``artifacts/version_0_1`` holds them, and in ``expected.json`` what that version answered. ``pictures`` is the run
``gancli train --recipe dcgan --set width=4 --set latent_dim=8 --set g_lr=4e-3 --set d_lr=4e-3 --augment ada --steps 40
--save-every 36 --seed 5``, without its last checkpoint. Other machines round otherwise, so weights are compared with a
tolerance that is far less than what the steps between change.
"""

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

from gancli import cli, sample, train

FILES = Path(__file__).parent / "artifacts" / "version_0_1"
RUN = FILES / "pictures"
EXPECTED = json.loads((FILES / "expected.json").read_text())
GENERATORS: dict[str, tuple[str, dict[str, Any]]] = {
    "pictures": ("pictures/gen.pth", {"n": 4, "seed": 7}),
    "checkpoint": ("pictures/checkpoints/step-000036.pt", {"n": 4}),
    "classes": ("classes.pth", {"seeds": "0-3", "classes": ["3", "7"]}),
    "points": ("points.pth", {"n": 4}),
}


@pytest.fixture
def older_run(tmp_path: Path) -> Path:
    """A copy of the run that a test may change."""
    return Path(shutil.copytree(RUN, tmp_path / "runs" / "0001-pictures"))


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["weights"]


def lines_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def require_close_weights(run: Path) -> None:
    """The networks of a run are those that version 0.1.0 ended with."""
    for name in ("gen.pth", "dis.pth"):
        now, then = weights_of(run / name), weights_of(RUN / name)
        assert list(now) == list(then)
        for key, value in then.items():
            torch.testing.assert_close(now[key], value, rtol=1e-3, atol=1e-4, msg=f"{name}: {key}")


@pytest.mark.parametrize("name", GENERATORS)
def test_a_generator_draws_the_same(name: str) -> None:
    path, options = GENERATORS[name]
    drawn, then = sample(FILES / path, device="cpu", **options), EXPECTED["samples"][name]
    assert list(drawn.shape) == then["shape"]
    step = 1 if drawn.dtype == torch.uint8 else 1e-4
    expected = torch.tensor(then["values"], dtype=torch.float32)
    torch.testing.assert_close(drawn.flatten().float(), expected, rtol=0, atol=step)
    assert expected.std() > 10 * step, "the images differ, so the comparison says something"


def test_a_run_is_resumed_and_ends_as_it_did(older_run: Path) -> None:
    for name in ("gen.pth", "dis.pth"):
        (older_run / name).unlink()
    result = train(resume=older_run, progress="none")
    assert result.steps == 40 and result.run == older_run
    require_close_weights(older_run)
    now, then = lines_of(older_run), lines_of(RUN)
    assert now[:-1] == then[:-1], "the lines up to the checkpoint are kept"
    assert now[-1]["step"] == then[-1]["step"] == 40
    for name, value in then[-1].items():
        if "/" in name:
            assert now[-1][name] == pytest.approx(value, rel=0.01, abs=0.01), name


def test_a_configuration_repeats_its_run(tmp_path: Path) -> None:
    words = ["train", "--config", str(RUN / "config.toml"), "--out", str(tmp_path), "--quiet"]
    assert cli.run(words) == 0
    run = next(tmp_path.iterdir())
    require_same_first_losses(run)
    now, then = (tomllib.loads((each / "config.toml").read_text()) for each in (run, RUN))
    for name, value in (then | {"out": str(tmp_path)}).items():  # newer recipes may have more hyperparameters
        kept = {key: now[name][key] for key in value} if isinstance(value, dict) else now[name]
        assert kept == value, name


def require_same_first_losses(run: Path) -> None:
    """The first losses agree almost exactly; rounding may grow over forty steps."""
    for now, then in zip(lines_of(run)[:3], lines_of(RUN)[:3], strict=True):
        assert now["step"] == then["step"]
        assert now["d/adv"] == pytest.approx(then["d/adv"], rel=1e-3)
        assert now["g/adv"] == pytest.approx(then["g/adv"], rel=1e-3)


def test_older_reports_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    reports = [str(FILES / f"evaluation-{name}.json") for name in ("pictures", "classes")]
    assert cli.run(["compare", *reports, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    for now, then in zip(found["rows"], EXPECTED["compare"]["rows"], strict=True):
        for ours, theirs in zip(now["figures"], then["figures"], strict=True):
            assert {name: ours[name] for name in theirs} == theirs  # newer versions may say more
        for ours, theirs in zip(now["differences"], then["differences"], strict=True):
            assert ours["better"] == theirs["better"]
            assert ours["probability"] == pytest.approx(theirs["probability"], rel=1e-6)


def test_an_older_run_is_examined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.run(["doctor", str(RUN), "--json", "--quiet", "--plot", str(tmp_path / "health.png")])
    assert code == EXPECTED["doctor"]["exit_code"]
    assert json.loads(capsys.readouterr().out)["present"] == EXPECTED["doctor"]["present"]
