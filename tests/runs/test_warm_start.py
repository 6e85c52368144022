"""What ``--init-from`` takes from a run of other pictures or classes, and what it says."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from sample_pictures import encoded, picture

from gancli import train
from gancli.artifacts.lookup import start_called
from gancli.artifacts.network_file import load
from gancli.config import TrainConfig
from gancli.errors import UsageError
from gancli.machine.distributed import Group
from gancli.runs.prepare import Prepared, prepare
from gancli.runs.result import TrainResult
from gancli.runs.warm_start import warm_start

ACGAN: dict[str, Any] = {"recipe": "acgan", "hyperparameters": {"width": 4}, "labels": "folder"}


def pictures(root: Path, *classes: str, size: int = 16, channels: int = 3) -> str:
    """A folder with 12 pictures in a folder for each class."""
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for each in range(12):
            content = encoded(picture(100 * number + each, size, size, channels))
            (root / name / f"{each}.png").write_bytes(content)
    return str(root)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """A run of one step on pictures of cats and dogs."""
    root = tmp_path_factory.mktemp("source")
    return train(
        data=pictures(root / "pets", "cat", "dog"), out=root, steps=1, batch_size=8, threads=1, progress="none", **ACGAN
    )


def started(source: TrainResult, data: str, **options: Any) -> Prepared:
    config = TrainConfig(data=data, init_from=str(source.run), steps=1, batch_size=8, threads=1, **ACGAN | options)
    prepared = prepare(config, Group())
    warm_start(prepared)
    return prepared


@pytest.mark.parametrize(
    ("folders", "kind", "options", "said"),
    [
        (("zebra", "ant, red"), {}, {}, 'has other classes (cat and dog), so "ant, red" and zebra begin anew'),
        (("bird", "dog", "cat"), {}, {}, "classes are taken by name (cat and dog), bird begins anew"),
        (("cat", "dog"), {"size": 32}, {}, "took 4 of 7 layers of G and 3 of 7 of D, the others are new; "
         "with --image-size 16 all would fit"),
        (("cat", "dog"), {"channels": 1}, {}, "acgan for 16x16 grey pictures of 2 classes (cat and dog): took 4 of 5"),
        (("cat", "dog"), {}, {"recipe": "dcgan"}, "draws classes (cat and dog), and this one none"),
    ],
)  # fmt: skip
def test_what_is_new_is_said_in_one_line(
    folders: tuple[str, ...], kind: dict[str, Any], options: dict[str, Any], said: str,
    source: TrainResult, tmp_path: Path, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    with caplog.at_level(logging.INFO):
        started(source, pictures(tmp_path / "new", *folders, **kind), **options)
    lines = [line for line in caplog.messages if line.startswith("--init-from")]
    assert len(lines) == 1 and said in lines[0]


def test_the_same_pictures_take_all_without_a_word(
    source: TrainResult, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = started(source, pictures(tmp_path / "again", "dog", "cat")).step.state
    assert not [line for line in caplog.messages if line.startswith("--init-from")]
    for network, path in ((state.ema, source.generator), (state.d, source.discriminator)):
        role: Any = "generator" if network is state.ema else "discriminator"
        for name, value in load(path, role).weights.items():
            assert torch.equal(network.state_dict()[name], value), name


@pytest.mark.parametrize(
    ("channels", "options", "said"),
    [
        (3, {"recipe": "vanilla", "hyperparameters": {}}, "none of the 3 layers of G fits; with --recipe acgan "
         "--set width=4 all would fit"),
        (3, {"hyperparameters": {"width": 8}}, "none of the 5 layers of G fits; with --set width=4 all would fit"),
        (1, {"freeze_d": 1}, "the lowest layers of D are new"),
    ],
)  # fmt: skip
def test_what_gives_nothing_is_refused_with_the_flags_that_help(
    channels: int, options: dict[str, Any], said: str, source: TrainResult, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        started(source, pictures(tmp_path / "new", "cat", "dog", channels=channels), **options)
    assert said in str(caught.value)


def test_the_latest_run_is_that_of_the_folder_of_runs(source: TrainResult, tmp_path: Path) -> None:
    assert start_called("latest", source.run.parent) == source.run
    assert start_called(str(source.run), tmp_path) == source.run
    with pytest.raises(UsageError, match="--init-from nowhere: there is no such run or file"):
        start_called("nowhere", tmp_path)
    with pytest.raises(UsageError, match="has no best checkpoint"):
        start_called("best", source.run.parent)
