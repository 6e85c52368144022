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


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_configuration_trains(path: Path, data_root: Path, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"batch_size": 4}
    if load_toml(path)["data"] == "cifar10" and not (data_root / "cifar-10-batches-py").exists():
        changes["data"] = str(folder(tmp_path / "pictures", height=32, width=32))
    settings = {"out": str(tmp_path / "runs"), "data_root": str(data_root), "progress": "none", "threads": 1}
    result = train(path, steps=2, **settings, **changes)
    assert result.generator.is_file()


@pytest.mark.slow
def test_the_tutorials_discriminator_wins_within_an_epoch_and_r1_prevents_it(data_root: Path, tmp_path: Path) -> None:
    common = {"epochs": 1, "out": str(tmp_path), "data_root": str(data_root), "progress": "none", "threads": 1}
    configs = CONFIGS[0].parent
    lost = train(configs / "mnist-tutorial.toml", **common).metrics
    healthy = train(configs / "mnist.toml", **common).metrics
    assert lost["d/adv"] < 0.1
    assert healthy["d/adv"] > 0.5
