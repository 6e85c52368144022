"""Every shipped configuration trains."""

from pathlib import Path
from typing import Any

import pytest
from sample_pictures import folder

from gancli import recipes, train
from gancli.config import TrainConfig, build, load_toml

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.toml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_configuration_names_only_what_exists(path: Path) -> None:
    config = build(TrainConfig, load_toml(path), path.name)
    recipe = build(recipes.find(config.recipe), config.hyperparameters, path.name)
    assert recipe is not None


PICTURES: dict[str | None, dict[str, int]] = {
    "fashion-mnist": {"channels": 1, "height": 28, "width": 28}, "cifar10": {"height": 32, "width": 32}, None: {},
}  # fmt: skip
"""Pictures in place of data that a test does not download, or that the configuration leaves to the user."""
SMALL = {
    "cifar10": ["width=16"], "few-pictures": ["width=2", "image_size=64"], "stacked-mnist": ["width=16"]
}  # fmt: skip
"""Settings that make the networks of a GPU small."""


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_configuration_trains(path: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    data = load_toml(path).get("data")
    changes: dict[str, Any] = {}
    if data in PICTURES:
        changes["data"] = str(folder(tmp_path / "pictures", **PICTURES[data]))
    elif "mnist" in data:
        changes["data_root"] = str(request.getfixturevalue("data_root"))
    result = train(
        path, steps=2, batch_size=4, out=str(tmp_path / "runs"), progress="none", threads=1,
        settings=SMALL.get(path.stem, []), **changes,
    )  # fmt: skip
    assert result.generator.is_file()
    assert result.steps == 2


@pytest.mark.slow
def test_the_tutorials_discriminator_wins_within_an_epoch_and_r1_prevents_it(data_root: Path, tmp_path: Path) -> None:
    common = {"epochs": 1, "out": str(tmp_path), "data_root": str(data_root), "progress": "none", "threads": 1}
    configs = CONFIGS[0].parent
    lost = train(configs / "mnist-tutorial.toml", **common).metrics
    healthy = train(configs / "mnist.toml", **common).metrics
    assert lost["d/adv"] < 0.1
    assert healthy["d/adv"] > 0.5
