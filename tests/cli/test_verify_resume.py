"""``gancli verify-resume``: a resume that is exact, one that is not, and wrong flags."""

import json
from pathlib import Path

import pytest
import torch

from gancli.artifacts.run_folder import RunFolder
from gancli.cli import run
from gancli.runs import verify_resume

FLAGS = ["verify-resume", "--recipe", "vanilla", "--batch-size", "16", "--threads", "1", "--steps", "12", "--quiet"]


def test_an_exact_resume_is_confirmed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run([*FLAGS, "--at", "5", "--set", "beta1=0.5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.pop("compared") > 60
    assert found == {"exact": True, "steps": 12, "at": 5, "differences": []}
    assert not (tmp_path / "runs").exists()


def test_a_difference_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    whole_copy = verify_resume._killed_after

    def damaged(step: int, whole: RunFolder, path: Path) -> RunFolder:
        folder = whole_copy(step, whole, path)
        content = torch.load(folder.checkpoint(step), weights_only=True)
        moments = content["state"]["g_optimizer"]["state"][0]["exp_avg"]
        moments.view(-1)[0] += 1e-3
        torch.save(content, folder.checkpoint(step))
        return folder

    monkeypatch.setattr(verify_resume, "_killed_after", damaged)
    assert run([*FLAGS, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["exact"] and {"state.g_optimizer.state.0.exp_avg", "gen.pth"} <= set(found["differences"])
    assert not any(name.startswith("origin") for name in found["differences"])
    assert run(FLAGS) == 1
    shown = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("differs  ") for line in shown) == 20 and shown[-1].endswith(" more")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--at", "12"], "--at 12: it must be more than 0"),
        (["--out", "here"], "there is no flag --out"),
        (["--resume", "latest"], "there is no flag --resume"),
        (["--recpie", "dcgan"], "--recpie"),
        (["--recipe", "dcgna"], "did you mean 'dcgan'"),
    ],
)
def test_wrong_flags(capsys: pytest.CaptureFixture[str], more: list[str], message: str) -> None:
    assert run([*FLAGS, *more]) == 2
    assert message in capsys.readouterr().err
