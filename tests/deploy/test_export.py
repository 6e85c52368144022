"""Exported models draw what the generator draws, say what they are, and a wrong one is caught."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from small_generators import write_generator

import gancli
from gancli import cli, recipes
from gancli.api import TrainResult
from gancli.deploy import exporting, numpy_latents
from gancli.deploy.deployed import description
from gancli.deploy.inspection import inspect
from gancli.deploy.model_files import content_of, runner
from gancli.deploy.proof_of_model import ModelProof, prove_model
from gancli.errors import UsageError
from gancli.randomness import numbered_latents
from gancli.recipes.base import Spec
from gancli.sampling.generator import LoadedGenerator, build_generator, load_generator

CPU = torch.device("cpu")
DOCS = Path(__file__).parents[2] / "docs"
Capture = pytest.CaptureFixture[str]
SMALL = {"ddgan": {"diffusion_steps": 2, "width": 4}}
"""Hyperparameters of networks that take long to export."""


def proof_of(generator: LoadedGenerator, suffix: str, precision: str = "fp32", pixels: bool = False) -> ModelProof:
    about = description(generator, pixels, precision, "0" * 64)
    content = content_of(suffix, generator, pixels, about, precision)
    return prove_model(runner(suffix, content, generator), generator, pixels, precision)


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_exports_to_onnx(name: str, tmp_path: Path) -> None:
    path = write_generator(tmp_path / "gen.pth", name, Spec(3, 8, 8, 3), **SMALL.get(name, {}))
    generator = load_generator(path, CPU)
    assert proof_of(generator, ".onnx").holds
    assert proof_of(generator, ".onnx", pixels=True).holds


@pytest.mark.parametrize("name", ["acgan", "fastgan"])
@pytest.mark.parametrize(("suffix", "precision"), [(".onnx", "fp16"), (".onnx", "int8"), (".safetensors", "fp32")])
def test_other_forms_hold_too(name: str, suffix: str, precision: str, tmp_path: Path) -> None:
    generator = load_generator(write_generator(tmp_path / "gen.pth", name, Spec(1, 8, 8, 3)), CPU)
    proof = proof_of(generator, suffix, precision)
    assert proof.holds and (proof.largest > 0) == (precision != "fp32"), proof


def test_a_program_of_torch_and_points_hold_too(tmp_path: Path) -> None:
    generator = load_generator(write_generator(tmp_path / "gen.pth", "vanilla", Spec(2, 1, 1, 8, 4.0)), CPU)
    assert proof_of(generator, ".pt2").holds and proof_of(generator, ".onnx").holds


def test_the_latents_of_numpy_are_those_of_torch() -> None:
    numbers = [0, 1, 63, 64, 1000, 10**7]
    for seed, size in (0, 100), (2**62, 3), (7, 517):
        ours = numpy_latents.latents(seed, numbers, size)
        assert ours.dtype == np.float32
        assert np.abs(ours - numbered_latents(seed, numbers, size).numpy()).max() < 4e-6


@pytest.fixture(scope="module")
def cgan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a generator and what the command exports from it, as pixels."""
    folder = tmp_path_factory.mktemp("cgan")
    ckpt = write_generator(folder / "gen.pth", "cgan", Spec(1, 8, 8, 4))
    assert cli.run(["export", str(ckpt), "--to", str(folder / "model.onnx"), "--uint8", "--quiet"]) == 0
    return folder


def test_the_model_says_what_it_is_and_runs_without_gancli(cgan: Path, capsys: Capture) -> None:
    session = onnxruntime.InferenceSession(cgan / "model.onnx")
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["classes"]) == ["c0", "c1", "c2", "c3"] and about["recipe"] == "cgan"
    inputs = {"latents": numpy_latents.latents(3, range(5), int(about["latent_dim"])), "labels": np.arange(5) % 4}
    (images,) = session.run(["images"], inputs)
    assert images.dtype == np.uint8 and images.shape == (5, 8, 8, 1)
    assert cli.run(["sample", str(cgan / "gen.pth"), "--seed", "3", "--n", "5", "--out", str(cgan / "a.npy")]) == 0
    assert np.abs(np.load(cgan / "a.npy").astype(int) - images).max() <= 1
    capsys.readouterr()
    assert cli.run(["inspect", str(cgan / "model.onnx"), "--ckpt", str(cgan / "gen.pth"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["files"][0]
    assert (told["kind"], told["sound"], told["proof"]["verdict"]) == ("model", True, "same")
    assert told["generator"] == inspect(cgan / "gen.pth").facts["generator"] == about["generator"]


def test_python_exports_and_inspects_as_the_commands_do(cgan: Path, tmp_path: Path) -> None:
    exported = gancli.export(cgan / "gen.pth", to=tmp_path / "model.onnx", uint8=True)
    assert exported.proof.holds and exported.bytes == exported.path.stat().st_size
    assert exported.path.read_bytes() == (cgan / "model.onnx").read_bytes()
    looked_at = gancli.inspect(exported.path, ckpt=cgan / "gen.pth")
    assert looked_at.kind == "model" and looked_at.is_fine
    other = write_generator(tmp_path / "other.pth", "cgan", Spec(1, 8, 8, 4), seed=1)
    assert not gancli.inspect(exported.path, ckpt=other).is_fine
    with pytest.raises(UsageError, match="exists already; choose another, or add overwrite=True") as wrong:
        gancli.export(cgan / "gen.pth", to=exported.path)
    assert "--" not in str(wrong.value)


def test_nudged_weights_are_caught(
    cgan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    model = onnx.load(cgan / "model.onnx")
    weights = max(model.graph.initializer, key=lambda each: len(each.raw_data))
    values = onnx.numpy_helper.to_array(weights) * 1.02
    weights.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float32), weights.name))
    nudged = tmp_path / "nudged.onnx"
    onnx.save(model, nudged)
    assert cli.run(["inspect", str(nudged), "--ckpt", str(cgan / "gen.pth")]) == 1
    assert "proof" in (said := capsys.readouterr().out) and "differs" in said
    monkeypatch.setattr(exporting, "content_of", lambda *_: nudged.read_bytes())
    to = tmp_path / "model.onnx"
    assert cli.run(["export", str(cgan / "gen.pth"), "--to", str(to), "--uint8"]) == 1
    assert "draws other images than torch" in capsys.readouterr().err and not to.exists()
    nudged.write_bytes(nudged.read_bytes()[:-500])
    assert not inspect(nudged).is_fine


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_wrong_model_is_caught_with_fewer_bits_too(precision: str, cgan: Path) -> None:
    generator = load_generator(cgan / "gen.pth", CPU)
    weights = dict(generator.file.weights)
    layers = [name for name, value in weights.items() if value.ndim > 1]
    swapped = {layers[-1]: weights[layers[-1]].flip(0)}
    for wrong in ({name: 1.02 * weights[name] for name in layers}, swapped):
        other = build_generator(replace(generator.file, weights=weights | wrong), CPU)
        content = content_of(".onnx", other, False, description(other, False, precision, "0" * 64), precision)
        assert not prove_model(runner(".onnx", content, other), generator, False, precision).holds


def test_fewer_bits_are_proved_after_the_float32_form(
    cgan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    weights = load_generator(cgan / "gen.pth", CPU).file.weights
    other = {name: (1.01 if value.ndim > 1 else 1) * value for name, value in weights.items()}
    wrong = build_generator(replace(load_generator(cgan / "gen.pth", CPU).file, weights=other), CPU)
    monkeypatch.setattr(exporting, "content_of", lambda suffix, _, *more: content_of(suffix, wrong, *more))
    to = tmp_path / "model.onnx"
    assert cli.run(["export", str(cgan / "gen.pth"), "--to", str(to), "--precision", "int8"]) == 1
    assert "allowed are 0.1 and 0.01" in capsys.readouterr().err and not to.exists()


@pytest.mark.parametrize(
    ("share", "fd", "words"),
    [(0.3, None, None), (0.3, (2.0, 2.05), None), (0.3, (2.0, 2.5), "raises the FD by 25%"), (0.9, None, "90% of the")],
)
def test_fewer_bits_that_are_not_worth_having_are_told(
    share: float, fd: tuple[float, float] | None, words: str | None
) -> None:
    note = exporting.note("int8", share, fd)
    assert note is None if words is None else words in str(note)
    assert exporting.note("fp32", 1.0, None) is None


@pytest.mark.slow  # the data set's classifier is trained for the distance
def test_fewer_bits_come_with_the_distance_before_and_after(
    tiny_run: TrainResult, tmp_path: Path, capsys: Capture
) -> None:
    to = str(tmp_path / "small.onnx")
    assert cli.run(["export", str(tiny_run.generator), "--to", to, "--precision", "int8", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    before, after = told["fd"]
    assert before > 0 and abs(after - before) < 0.1 * before
    assert told["bytes"] == Path(to).stat().st_size < 0.5 * tiny_run.generator.stat().st_size
    assert told["exported"]["images_per_s"] > 0 < told["torch"]["median_ms"] <= told["torch"]["p95_ms"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--to FILE.onnx"),
        (["--to", "x.onxx"], "did you mean '.onnx'?"),
        (["--to", "x.pt2", "--precision", "int8"], "--precision int8 is for .onnx files"),
        (["--to", "x.safetensors", "--uint8"], "holds weights alone"),
        (["--to", "none/x.onnx"], "there is no folder none"),
        (["--to", "there.onnx"], "exists already"),
    ],
)
def test_a_wrong_flag_is_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.onnx").write_text("kept")
    assert cli.run(["export", "x.pth", *arguments]) == 2
    errors = capsys.readouterr().err
    assert message in errors and len(errors.splitlines()) == 1
    assert Path("there.onnx").read_text() == "kept"


def test_a_missing_library_is_named_with_what_to_install(
    cgan: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert cli.run(["export", str(cgan / "gen.pth"), "--to", str(cgan / "b.onnx")]) == 2
    assert "onnxruntime, which is not installed: pip install 'gancli[export]'" in capsys.readouterr().err


def code_of_page(language: str) -> str:
    (code,) = re.findall(rf"```{language}\n(.*?)```", (DOCS / "latents.md").read_text(), re.DOTALL)
    return code


def test_the_python_program_of_the_page_draws_the_same_images(cgan: Path, tmp_path: Path) -> None:
    shutil.copy(cgan / "model.onnx", tmp_path)
    program = tmp_path / "draw.py"
    program.write_text(code_of_page("py"))
    subprocess.run([sys.executable, "-I", program], cwd=tmp_path, check=True, timeout=200)
    assert cli.run(["sample", str(cgan / "gen.pth"), "--n", "8", "--out", str(tmp_path / "a.npy"), "--quiet"]) == 0
    assert np.abs(np.load(tmp_path / "a.npy").astype(int) - np.load(tmp_path / "images.npy")).max() <= 1


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
def test_the_javascript_of_the_page_draws_the_same_latents(tmp_path: Path) -> None:
    code = code_of_page("js").partition("// From here on")[0]
    code = "\n".join(line for line in code.splitlines() if "onnxruntime" not in line)
    numbers = [0, 7, 64, 1000]
    program = tmp_path / "latents.mjs"
    program.write_text(f"{code}\nconsole.log(JSON.stringify({numbers}.map((n) => [...latent(5, n, 12)])));\n")
    told = subprocess.run(["node", program], check=True, capture_output=True, text=True, timeout=200)
    assert np.abs(np.array(json.loads(told.stdout)) - numbered_latents(5, numbers, 12).numpy()).max() < 4e-6
