"""Training on conditions: the generator follows them, runs resume exactly, and other recipes say which can."""

import re
import shlex
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from sample_pictures import encoded
from torch import Tensor

import gancli
from gancli import cli, data, recipes
from gancli.artifacts import network_file
from gancli.artifacts.network_file import NetworkFile, Origin
from gancli.artifacts.run_folder import RunFolder
from gancli.config import TrainConfig
from gancli.data.conditions import conditions_of
from gancli.errors import DataError, UsageError
from gancli.machine.distributed import Group
from gancli.recipes.base import Spec
from gancli.runs.prepare import prepare
from gancli.runs.warm_start import warm_start
from gancli.steps.batches import Noise, ResidentImages

SMALL: dict[str, dict[str, Any]] = {
    "cgan": {"dropout": 0.0, "ema_half_life": 300.0},
    "projection": {"width": 4, "d_steps": 1},
    "stylegan2": {"conditional": True, "width": 4, "max_width": 8},
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 flat grey pictures, whose brightness is their level, from 0 to 1."""
    folder = tmp_path_factory.mktemp("levels")
    lines = ["file,level"]
    for number in range(120):
        level = number / 119
        (folder / f"{number:03}.png").write_bytes(encoded(Image.new("L", (8, 8), round(20 + 200 * level))))
        lines.append(f"{number:03}.png,{level:.6f}")
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder


def settings(pictures: Path, recipe: str, **more: Any) -> dict[str, Any]:
    given = {
        "recipe": recipe, "data": str(pictures), "hyperparameters": SMALL[recipe], "batch_size": 16, "device": "cpu",
        "compile": "off", "threads": 1, "watch_every": 0, "eval_every": 0,
    }  # fmt: skip
    return given | more


def ranks(values: Tensor) -> Tensor:
    return values.argsort().argsort().double()


def test_brightness_follows_the_condition(pictures: Path, tmp_path: Path) -> None:
    result = gancli.train(**settings(pictures, "cgan", steps=60, out=str(tmp_path)), progress="none")
    generator = gancli.load(result.run)
    levels = torch.linspace(0.01, 0.99, 25)
    drawn = [generator.draw(4, seed=7, condition={"level": each}).double().mean() for each in levels.tolist()]
    both = torch.stack([ranks(levels), ranks(torch.stack(drawn))])
    assert torch.corrcoef(both)[0, 1] > 0.8


def test_a_run_with_conditions_resumes_exactly(pictures: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    given = settings(pictures, "stylegan2", save_every=2, sample_every=2, watch_every=2)
    first = gancli.train(**given, steps=4, out=str(whole), progress="none")
    gancli.train(**given, steps=2, out=str(parts), progress="none")
    second = gancli.train(resume="latest", steps=4, out=str(parts), progress="none")
    ours, theirs = (torch.load(RunFolder(each.run).checkpoint(4), weights_only=True) for each in (first, second))
    for name in ("g", "d", "ema"):
        assert all(torch.equal(value, theirs["state"][name][key]) for key, value in ours["state"][name].items())
    assert ours["origin"] == theirs["origin"] and ours["origin"]["conditions"]["names"] == ["level"]
    assert torch.equal(*(gancli.load(each.run).draw(3, condition="level=.5") for each in (first, second)))


def test_several_processes_share_out_real_and_drawn_conditions(pictures: Path) -> None:
    known = data.load(str(pictures))
    assert known.conditions is not None and known.train.conditions is not None
    rows = known.conditions.standardised(known.train.conditions)
    setup = prepare(TrainConfig(**settings(pictures, "projection", steps=2)), Group()).step.setup
    assert isinstance(setup.real, ResidentImages)
    whole, *parts = (
        (replace(setup.noise, rank=rank, world=world), replace(setup.real, rank=rank, world=world))
        for rank, world in ((0, 1), (0, 2), (1, 2))
    )
    drawn, shown = whole[0].draw("g", 3)[1], whole[1].batch(3)
    for of_whole, of_parts in (
        (drawn, [noise.draw("g", 3)[1] for noise, _ in parts]),
        (shown.labels, [real.batch(3).labels for _, real in parts]),
    ):
        assert of_whole is not None and of_whole.shape == (16, 1) and of_whole.dtype == torch.float32
        assert torch.equal(of_whole, torch.cat([part for part in of_parts if part is not None]))
        assert set(of_whole.flatten().tolist()) <= set(rows.flatten().tolist())
    assert shown.labels is not None  # real pictures go with their own
    assert torch.corrcoef(torch.stack([shown.labels[:, 0], shown.images[:, 0, 0, 0]]))[0, 1] > 0.9999


def test_drawn_conditions_are_whole_rows() -> None:
    table = torch.tensor([[0.0, 1], [2, 3], [4, 5]])
    _, labels = Noise(8, 0, 50, 0, torch.device("cpu"), conditions=table).draw("g", 1)
    assert labels is not None and {tuple(row) for row in labels.tolist()} == {(0, 1), (2, 3), (4, 5)}


def test_recipes_of_classes_say_which_take_conditions(pictures: Path, caplog: pytest.LogCaptureFixture) -> None:
    given = settings(pictures, "cgan", hyperparameters={}, steps=2) | {"recipe": "acgan"}
    with pytest.raises(DataError, match=r"are conditions, which cgan or projection or stylegan2 takes"):
        prepare(TrainConfig(**given), Group())
    with caplog.at_level("INFO"):
        prepare(TrainConfig(**given | {"recipe": "vanilla"}), Group())
    assert "recipe vanilla ignores the conditions; cgan or projection or stylegan2 takes them" in caplog.text


def test_other_numbers_are_another_run(pictures: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in pictures.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    gancli.train(**settings(copy, "projection", steps=1, out=str(tmp_path / "runs")), progress="none")
    (copy / "labels.csv").write_text((copy / "labels.csv").read_text().replace("level", "brightness"))
    with pytest.raises(UsageError, match="the data have changed"):
        gancli.train(resume="latest", steps=2, out=str(tmp_path / "runs"), progress="none")


def test_a_new_run_takes_conditions_by_name(pictures: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spec, recipe = Spec(1, 8, 8, conditions=2), recipes.find("cgan")(**SMALL["cgan"])
    known = conditions_of(("age", "level"), torch.rand(9, 2, dtype=torch.float64))
    old = recipe.networks(spec)[0].state_dict()
    origin = Origin("cgan", asdict(recipe), spec, (), "faces", "0" * 16, conditions=known)
    network_file.save(tmp_path / "gen.pth", NetworkFile("generator", origin, 7, 700, old))
    prepared = prepare(TrainConfig(**settings(pictures, "cgan", init_from=str(tmp_path / "gen.pth"), steps=1)), Group())
    with caplog.at_level("INFO"):
        warm_start(prepared)
    assert "--init-from: conditions are taken by name (level)" in caplog.text
    weights = prepared.step.state.g.state_dict()
    level, known_scale = prepared.resolved.dataset.conditions, known
    assert level is not None and known_scale is not None
    expected = old["label.weight"][:, 1:] * (level.deviations[0] / known_scale.deviations[1])
    assert torch.allclose(weights["label.weight"], expected)  # the slope over the level itself stays
    assert torch.equal(weights["joint.weight"], old["joint.weight"])


def test_the_commands_of_the_page_on_pictures_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "your-own-pictures.md").read_text()
    section = page.split("## Pictures with several labels or numbers")[1].split("## ")[0]
    commands = re.findall(r"^gancli (.*?)(?: +#.*)?$", section.split("```sh\n")[1].split("```")[0], re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    lines = ["file,smile,age", *(f"{number:03}.png,{number % 2},{20 + number}" for number in range(40))]
    for number in range(40):
        (tmp_path / "photos" / f"{number:03}.png").write_bytes(encoded(Image.new("L", (8, 8), number)))
    (tmp_path / "photos" / "labels.csv").write_text("\n".join(lines))
    few = "--image-size 8 --steps 1 --batch-size 8 --set width=4 --threads 1 --compile off --progress none"
    for command in commands:
        assert cli.run(shlex.split(command.replace("--image-size 32", few))) == 0, capsys.readouterr().err
    assert len(commands) == 3 and "smile 50 %; age 20 to 59" in capsys.readouterr().out
    assert (tmp_path / "samples-0001.png").is_file()
