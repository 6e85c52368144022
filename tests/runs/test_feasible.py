"""Networks that memory cannot hold are refused before they are made."""

from collections.abc import Callable

import pytest

from gancli.config import TrainConfig
from gancli.errors import OutOfMemory
from gancli.machine import memory
from gancli.machine.distributed import Group
from gancli.recipes.base import Recipe
from gancli.runs import prepare as preparing
from gancli.runs.prepare import prepare


@pytest.fixture
def nothing_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("networks are made")

    monkeypatch.setattr(preparing, "build", fail)


def wide(width: int, **options: object) -> TrainConfig:
    hyperparameters = {"width": width}
    return TrainConfig(recipe="dcgan", hyperparameters=hyperparameters, steps=1, threads=1, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("width", "said"),
    [(20_000, "with width=20000 the weights of recipe dcgan"), (1_000_000, "GiB, and cpu has 24.0 GiB free")],
)
def test_networks_beyond_memory_are_refused_before_they_are_made(
    width: int, said: str, nothing_is_made: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free", lambda device: 24 * 2**30)
    with pytest.raises(OutOfMemory) as caught:
        prepare(wide(width), Group())
    assert said in str(caught.value)


def test_sizes_that_no_number_holds_are_refused_too(nothing_is_made: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def overflows(self: Recipe, spec: object) -> Callable[[], None]:
        raise RuntimeError("Storage size calculation overflowed")

    monkeypatch.setattr(type(preparing.recipe_of(wide(300))), "networks", overflows)
    with pytest.raises(OutOfMemory, match="more than any machine has"):
        prepare(wide(300), Group())
