"""Steps as CUDA graphs, with a stand-in for the device that records operations and does them again, as it would."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from training_steps import make_step, small, tensors

from gancli.recipes.base import Spec
from gancli.recipes.r3gan import R3GAN
from gancli.steps import traces
from gancli.steps.compiled_step import CompiledStep
from gancli.steps.cuda_graph import WARM_UP, Recorded
from gancli.steps.step import Step

SPEC = Spec(3, 8, 8, 4)


class Tape(TorchDispatchMode):
    """What a graph holds: operations on tensors at fixed places, whose results are always put where they were."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, list[Tensor]]] = []

    def __torch_dispatch__(self, function: Any, kinds: Any, values: Any = (), options: Any = None) -> Any:
        given = same_places((values, options or {}))  # whose shapes an operation may change where they are
        found = function(*values, **(options or {}))
        self.operations.append((function, given, tensors_in(same_places(found))))
        return found

    def replay(self) -> None:
        for function, given, results in self.operations:
            values, options = same_places(given)
            for place, value in zip(results, tensors_in(function(*values, **options)), strict=True):
                if place.data_ptr() != value.data_ptr():  # neither in place nor a view
                    place.copy_(value)


def same_places(tree: Any) -> Any:
    return tree_map(lambda leaf: leaf.detach() if isinstance(leaf, Tensor) else leaf, tree)


def tensors_in(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stream:
        def wait_stream(self, other: "Stream") -> None:
            assert isinstance(other, Stream)

    @contextlib.contextmanager
    def recording(graph: Tape, stream: Stream, capture_error_mode: str) -> Iterator[None]:
        assert isinstance(stream, Stream) and capture_error_mode == "thread_local"
        with graph:
            yield

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "device", lambda device: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Tape)
    monkeypatch.setattr(torch.cuda, "graph", recording)
    monkeypatch.setattr(traces, "made_fast", lambda traced, inputs, device: Recorded(traced, inputs))


def test_a_recorded_function_is_called_to_warm_up_and_then_never_again() -> None:
    calls, total = [], torch.zeros(2)

    def function(values: Tensor) -> list[Tensor]:
        calls.append(1)
        total.add_(values)
        return [total * 2]

    given = torch.ones(2)
    recorded = Recorded(function, [given])
    assert len(calls) == WARM_UP + 1
    total.zero_()
    (first,) = recorded(torch.tensor([1.0, 2.0]))
    assert first.tolist() == [2, 4]
    (second,) = recorded(torch.tensor([10.0, 20.0]))
    assert second.tolist() == [22, 44] == first.tolist()  # one place, which the next call overwrites
    assert total.tolist() == [11, 22] and given.tolist() == [1, 1] and len(calls) == WARM_UP + 1


def pair(name: str, **options: Any) -> list[Step]:
    made = []
    for way in ({"compiled": True}, {"plain": True}):
        step = make_step(small(name).fitted(SPEC, 40, 200), dtype=torch.float64, spec=SPEC, **way, **options)
        made.append(step)
    return made


@pytest.mark.parametrize(
    ("name", "options"),
    [("vanilla", {"augmentation": "ada"}), ("dcgan", {}), ("r3gan", {}), ("lsgan", {"augmentation": "diffaug"})],
)
def test_a_graph_goes_on_as_the_plain_step_does(name: str, options: dict[str, Any]) -> None:
    """Scalars are kept over steps, as whoever compares them does."""
    ours, theirs = pair(name, **options)
    found, expected = ([step() for _ in range(5)] for step in (ours, theirs))
    assert isinstance(ours.update, CompiledStep) and isinstance(ours.update.function, Recorded)
    for mine, other in zip(found, expected, strict=True):
        assert mine.keys() == other.keys()
        for key, value in other.items():
            torch.testing.assert_close(mine[key], value, rtol=1e-9, atol=1e-9, msg=key)
    for network in ("g", "d", "ema"):
        for a, b in zip(*(tensors(getattr(step.state, network)) for step in (ours, theirs)), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9, msg=network)
    for a, b in zip(ours.state.g.parameters(), theirs.state.g.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-9, atol=1e-9)
    assert [float(s["step"]) for s in ours.state.d_optimizer.state.values()] == [5.0] * len(
        list(theirs.state.d.parameters())
    )


def test_a_graph_counts_adams_steps_itself_and_reads_nothing_from_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    step = make_step(R3GAN().fitted(SPEC, 40, 200), spec=SPEC, compiled=True)
    for _ in range(2):
        step()
    monkeypatch.setattr(Tensor, "__float__", lambda value: pytest.fail("waits for the device"))
    monkeypatch.setattr(Tensor, "item", lambda value: pytest.fail("waits for the device"))
    for _ in range(3):
        step()
    monkeypatch.undo()
    assert float(next(iter(step.state.g_optimizer.state.values()))["step"]) == 5
