"""Generators that draw by conditions: what is asked for is drawn, written, proved, exported and served."""

import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

import gancli
from gancli import cli, data, recipes
from gancli.artifacts import network_file
from gancli.artifacts.network_file import NetworkFile, Origin
from gancli.config.serve_command import Limits
from gancli.data import PictureOptions
from gancli.data.conditions import conditions_of
from gancli.deploy.deployed import description, numbered_inputs
from gancli.deploy.model_files import content_of, runner
from gancli.deploy.proof_of_model import prove_model
from gancli.deploy.serving.models import load_models
from gancli.deploy.serving.refusal import Refused
from gancli.deploy.serving.wanted import Wanted, plan
from gancli.errors import FileFormatError, UsageError
from gancli.functional.pixels import to_pixels
from gancli.randomness import numbered_latents
from gancli.recipes.base import Spec
from gancli.sampling.generator import load_generator
from gancli.sampling.mark import Mark

CPU = torch.device("cpu")
Capture = pytest.CaptureFixture[str]
ROWS = torch.tensor([[20.0, 0], [30, 1], [70, 0]], dtype=torch.float64)
AGES = ROWS[:, 0].numpy()
ABLE = {"cgan": {}, "projection": {"width": 4}, "stylegan2": {"conditional": True, "width": 4, "max_width": 8}}


def generator_file(path: Path, recipe: str = "cgan") -> Path:
    """A new generator that draws by age and smile."""
    torch.manual_seed(0)
    spec = Spec(1, 8, 8, conditions=2)
    chosen = recipes.find(recipe)(**ABLE[recipe]).fitted(spec, 1000, 100_000)
    g, _ = chosen.networks(spec)
    with torch.no_grad():  # new norms ignore the condition
        for name, value in g.named_parameters():
            if name.endswith(("gain.weight", "bias.weight")):
                value.normal_()
    known = conditions_of(("age", "smile"), ROWS)
    origin = Origin(recipe, asdict(chosen), spec, (), "faces", "0" * 16, conditions=known)
    network_file.save(path, NetworkFile("generator", origin, 7, 700, g.state_dict()))
    return path


@pytest.mark.parametrize("recipe", ABLE)
def test_what_is_asked_for_is_drawn_in_the_users_unit(tmp_path: Path, recipe: str) -> None:
    generator = gancli.load(generator_file(tmp_path / "gen.pth", recipe))
    assert generator.conditions == {"age": (20, 70), "smile": (0, 1)}
    asked = generator.draw(3, seed=4, condition={"age": 50})
    ages = np.full(3, (50 - AGES.mean()) / AGES.std())
    labels = torch.tensor(np.stack([ages, [0, 1, 0]], 1), dtype=torch.float32)  # smiles of the rows in turn
    latents = numbered_latents(4, range(3), generator.latent_dim)
    with torch.no_grad():
        expected = to_pixels(generator.module(latents, labels))
    assert (asked.int() - expected.int()).abs().max() <= 1
    assert not torch.equal(asked, generator.draw(3, seed=4, condition="age=20"))
    assert torch.equal(generator.draw(4, seed=4)[3:], generator.draw(seeds=[3], seed=4, condition="age=20, smile=0"))


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("smile", "write NAME=NUMBER, such as smile=1"),
        ("smile=yes", "--condition smile=yes: that is not a number"),
        ("smile=1,smile=0", "names smile twice"),
        ("smiel=1", "no condition 'smiel'; .*smile"),
    ],
)
def test_what_no_generator_draws_is_refused(tmp_path: Path, capsys: Capture, condition: str, said: str) -> None:
    path = generator_file(tmp_path / "gen.pth")
    assert cli.run(["sample", str(path), "-q", "--condition", condition]) == 2
    error = capsys.readouterr().err
    assert re.search(said, error) and error.count("\n") == 1


def test_conditions_and_classes_are_not_mixed_up(tmp_path: Path) -> None:
    generator = gancli.load(generator_file(tmp_path / "gen.pth"))
    with pytest.raises(UsageError, match="draws by conditions, not by class; ask with"):
        generator.draw(1, classes=["1"])
    with pytest.raises(UsageError, match="draws by conditions, not by class"):
        generator.draw_from(generator.latents(1), ["1"])
    spec = Spec(1, 8, 8)
    g, _ = recipes.find("dcgan")().networks(spec)
    plain = NetworkFile("generator", Origin("dcgan", {}, spec, (), "x", ""), 1, 1, g.state_dict())
    network_file.save(tmp_path / "plain.pth", plain)
    with pytest.raises(UsageError, match="this generator is unconditional"):
        gancli.sample(tmp_path / "plain.pth", n=1, condition="age=1")


def test_a_mark_that_would_be_too_long_names_no_conditions() -> None:
    packet = Mark(
        "0" * 64, "cgan", numbers=(1,), condition=",".join(f"name {number}=1" for number in range(9000))
    ).packet()
    assert len(packet) < 5000


def test_a_value_that_nobody_had_gives_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    generator = gancli.load(generator_file(tmp_path / "gen.pth"))
    generator.draw(1, condition="age=70")
    assert not caplog.text
    generator.draw(1, condition="age=71")
    assert "age=71: training pictures have 20 to 70" in caplog.text


def test_written_samples_carry_their_conditions_and_their_proof(tmp_path: Path, capsys: Capture) -> None:
    path = str(generator_file(tmp_path / "gen.pth"))
    draw = ["sample", path, "--n", "40", "--condition", "age=.3", "-q", "--out"]
    assert cli.run([*draw, f"{tmp_path}/folder"]) == 0 and cli.run([*draw, f"{tmp_path}/x.npz"]) == 0
    for place in ("folder", "x.npz"):
        dataset = data.load(f"{tmp_path}/{place}", options=PictureOptions(holdout=0.4))
        assert dataset.conditions is not None and dataset.conditions.names == ("age", "smile")
        for split in (dataset.train, dataset.heldout):
            assert split.conditions is not None
            assert set(split.conditions[:, 0].tolist()) == {0.3} and set(split.conditions[:, 1].tolist()) <= {0, 1}
    picture = gancli.inspect(f"{tmp_path}/folder/000007.png", ckpt=path)
    assert picture.mark is not None and picture.mark.condition == "age=0.3"
    assert picture.proof is not None and picture.proof.verdict == "same"
    capsys.readouterr()
    assert cli.run(["inspect", path]) == 0
    assert "age 20 to 70; smile 0 to 1" in capsys.readouterr().out


def test_an_exported_model_takes_the_users_unit(tmp_path: Path) -> None:
    path = generator_file(tmp_path / "gen.pth")
    generator = load_generator(path, CPU)
    about = description(generator, True, "fp32", "0" * 64)
    assert "conditions float32 (N, 2)" in about["inputs"]
    run = runner(".onnx", content_of(".onnx", generator, True, about), generator)
    assert prove_model(run, generator, True, "fp32").holds
    inputs = numbered_inputs(generator, range(3))
    assert inputs.names == ["latents", "conditions"] and torch.equal(inputs.tensors()[1], ROWS.float())
    drawn = run(inputs).transpose(0, 3, 1, 2).astype(int)
    assert np.abs(drawn - gancli.load(path).draw(3).numpy()).max() <= 1


def test_the_service_draws_the_same(tmp_path: Path) -> None:
    models = load_models([str(generator_file(tmp_path / "gen.pth"))], Limits(), CPU)
    planned = plan(Wanted(numbers=[5], conditions={"age": 30}), models)
    drawn = torch.cat([*planned.drawing.batches])
    assert torch.equal(drawn, gancli.load(tmp_path / "gen.pth").draw(seeds=[5], condition="age=30"))
    assert planned.drawing.labelled is not None
    assert planned.drawing.labelled.of(0) == {"conditions": {"age": 30, "smile": 0}}
    assert models["gen"].describe()["conditions"] == {"age": (20, 70), "smile": (0, 1)}
    with pytest.raises(Refused, match="conditions: the generator has no condition 'x'"):
        plan(Wanted(conditions={"x": 1}), models)


def test_a_file_whose_conditions_do_not_fit_is_refused(tmp_path: Path) -> None:
    content = torch.load(generator_file(tmp_path / "gen.pth"), weights_only=True)
    for wrong in ({"means": [0.0]}, {"names": [1, 2]}, {"deviations": [0.0, 1.0]}, {"rows": []}, {"most": [1.0, "x"]}):
        torch.save(content | {"conditions": content["conditions"] | wrong}, tmp_path / "wrong.pth")
        with pytest.raises(FileFormatError, match="lacks a part"):
            network_file.load(tmp_path / "wrong.pth", "generator")
    del content["conditions"]
    torch.save(content, tmp_path / "wrong.pth")
    with pytest.raises(FileFormatError, match="another number of conditions"):
        network_file.load(tmp_path / "wrong.pth", "generator")
