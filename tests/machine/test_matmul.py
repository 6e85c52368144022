"""What multiplies matrices on the CPU: chosen once for a machine, never at the price of exactness."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from gancli import train
from gancli.artifacts.run_folder import RunFolder
from gancli.machine import matmul
from gancli.runs import resume

needs_choice = pytest.mark.skipif(
    not hasattr(getattr(torch.backends.mkldnn, "matmul", None), "fp32_precision"), reason="this torch has no choice"
)


def setting() -> str:
    return torch.backends.mkldnn.matmul.fp32_precision  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "gancli" / "products.json"


@needs_choice
@pytest.mark.parametrize(("gain", "expected"), [(1.04, "default"), (1.06, "onednn"), (1.9, "onednn"), (0.0, "default")])
def test_the_choice_is_made_once_for_a_machine(
    gain: float, expected: str, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matmul, "gain", lambda: gain)
    assert matmul.best("some processor") == expected
    monkeypatch.setattr(matmul, "gain", lambda: 1.5)
    assert matmul.best("some processor") == expected, "a busy moment must not change a run's arithmetic"
    assert matmul.best("another processor") == "onednn"
    own_cache.write_text("[ nonsense")
    assert matmul.best("some processor") == "onednn"
    assert list(json.loads(own_cache.read_text()).values()) == ["onednn"]


@needs_choice
def test_timing_leaves_the_setting_alone_and_gives_a_ratio() -> None:
    before = setting()
    assert matmul.gain() == 0 or 0.05 < matmul.gain() < 20
    assert setting() == before


@needs_choice
def test_what_rounds_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with matmul.restored():
        monkeypatch.setattr(matmul, "error", lambda *shape: 1e-3)
        assert matmul.gain() == 0
        assert not matmul.use("onednn")
        assert setting() == "none"
        assert matmul.use("default")


def test_the_error_is_that_of_float32() -> None:
    assert 1e-9 < matmul.error(64, 512, 784) < matmul.MAX_ERROR


@needs_choice
def test_a_run_records_its_choice_and_resumes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    common: dict[str, Any] = {"recipe": "vanilla", "batch_size": 16, "threads": 1, "progress": "none"}
    used: list[str] = []
    use = matmul.use
    monkeypatch.setattr(matmul, "use", lambda library: used.append(library) or use("default"))
    monkeypatch.setattr(matmul, "gain", lambda: 2.0)
    run = RunFolder(train(steps=2, out=str(tmp_path), **common).run)
    monkeypatch.setattr(matmul, "gain", lambda: 1.0)
    (tmp_path / "cache" / "gancli" / "products.json").unlink()
    train(resume=str(run.path), steps=3, progress="none")
    assert used == ["onednn", "onednn"]
    assert [part["matmul"] for part in json.loads((run.path / "environment.json").read_text())["parts"]] == used
    assert "not bit for bit" not in caplog.text
    train(resume=str(run.path), steps=4, progress="none", settings=["matmul=default"])
    assert "matmul was onednn and is now default: the run goes on, but not bit for bit" in caplog.text
    assert resume.read("latest", run, [], {}).asked.matmul == "default"


@pytest.mark.parametrize(("gain", "warned"), [(0.5, True), (1.8, False)])
def test_bf16_is_warned_of_where_it_is_slower(
    gain: float, warned: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(matmul, "bf16_gain", lambda: gain)
    common: dict[str, Any] = {"recipe": "vanilla", "steps": 1, "batch_size": 16, "threads": 1, "progress": "none"}
    train(out=str(tmp_path), precision="bf16", **common)
    assert ("bfloat16 at 0.5 times the speed of float32" in caplog.text) == warned
    monkeypatch.setattr(matmul, "bf16_gain", None)
    train(out=str(tmp_path), precision="fp32", **common)


def test_bf16_against_fp32_is_a_ratio() -> None:
    assert 0.01 < matmul.bf16_gain() < 100
