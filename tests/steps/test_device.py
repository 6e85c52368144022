"""What a GPU needs of a step: that it never waits for the device, and the same steps there as on the CPU."""

import contextlib
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from training_steps import IMAGES, labelled, make_step, small, tensors

from gancli import recipes
from gancli.machine import devices
from gancli.recipes.base import Batch, Spec
from gancli.runs import compile_choice
from gancli.runs.prepare import top_k_share
from gancli.steps import state as training_state
from gancli.steps.batches import Draws, Noise, ResidentImages
from gancli.steps.compiled_step import CompiledStep
from gancli.steps.setup import Setup
from gancli.steps.state import TrainState
from gancli.steps.step import Step, fastest_step

SPEC, COLOUR = Spec(1, 8, 8, 4), Spec(3, 8, 8, 4)
aten = torch.ops.aten
WAITS = {aten._local_scalar_dense, aten.nonzero, aten.masked_select, aten.equal, aten.is_nonzero, aten.unique_dim}
WAITS |= {aten.lift_fresh}  # of torch.tensor, which copies from the host
on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")


class NeverWaiting(TorchDispatchMode):
    """Refuses what needs a number, or a shape, from the device."""

    def __torch_dispatch__(self, function: Any, kinds: Any, values: Any = (), options: Any = None) -> Any:
        assert function.overloadpacket not in WAITS, f"{function} waits for the device"
        return function(*values, **(options or {}))


@pytest.mark.parametrize("name", recipes.names())
def test_no_step_waits_for_the_device(name: str) -> None:
    step = labelled(make_step(small(name).fitted(SPEC, 40, 1000), spec=SPEC))
    with NeverWaiting():
        for _ in range(2):
            step.state.running.add(step())


@pytest.mark.parametrize("spec", [SPEC, COLOUR], ids=["grey", "colour"])
@pytest.mark.parametrize("options", [{"augmentation": "ada"}, {"augmentation": "diffaug"}, {"accumulate": 2}])
def test_no_option_waits_for_the_device(options: dict[str, Any], spec: Spec) -> None:
    step = make_step(small("vanilla"), spec=spec, **options, best_share=lambda seen: top_k_share(0.5, 8, 80 + seen))
    step.setup.real.mirror = True  # type: ignore[attr-defined]
    with NeverWaiting():
        for _ in range(5):
            step.state.running.add(step())


META = torch.device("meta")


class OnlyThere(TorchDispatchMode):
    """Refuses tensors of the host; numbers, such as Adam's counts, may lie there."""

    def __torch_dispatch__(self, function: Any, kinds: Any, values: Any = (), options: Any = None) -> Any:
        given = [leaf for leaf in tree_leaves((values, options)) if isinstance(leaf, Tensor) and leaf.ndim]
        assert {leaf.device for leaf in given} <= {META}, f"{function} takes a tensor of the host"
        return function(*values, **(options or {}))


def there(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.to(META)


def all_there(pairs: list[Any]) -> list[Any]:
    return [(there(first), there(second)) for first, second in pairs]


REFUSED = {aten.grid_sampler_2d_backward, aten._adaptive_avg_pool2d_backward, aten.adaptive_max_pool2d_backward}
"""What CUDA refuses where results must repeat; see `torch.use_deterministic_algorithms`. Torch goes around others."""


class OnlyRepeating(OnlyThere):
    """Refuses operations whose sums CUDA adds in any order, too."""

    def __torch_dispatch__(self, function: Any, kinds: Any, values: Any = (), options: Any = None) -> Any:
        assert function.overloadpacket not in REFUSED, f"{function} is refused by CUDA with --deterministic"
        return super().__torch_dispatch__(function, kinds, values, options)


@pytest.mark.parametrize("augmentation", ["none", "ada", "diffaug"])
@pytest.mark.parametrize("name", recipes.names())
def test_every_tensor_of_a_step_is_on_its_device(name: str, augmentation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a device that holds nothing, where no tensor of the host but a counter may take part, and sums repeat."""
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    adam, nowhere = torch.optim.Adam.__init__, contextlib.nullcontext()
    monkeypatch.setattr(torch.optim.Adam, "__init__", lambda *a, **o: adam(*a, **o | {"fused": False}))
    monkeypatch.setattr(torch, "autocast", lambda *a, **o: nowhere)
    step = labelled(make_step(small(name).fitted(COLOUR, 40, 1000), spec=COLOUR, augmentation=augmentation))
    drawn, rates = step.setup.draws(0), step.setup.rates(10)
    networks = [network.to(META) for network in (step.state.g, step.state.d, step.state.ema)]
    optimizers = step.setup.recipe.optimizers(networks[0], networks[1])
    state = TrainState(*networks, *optimizers, step.state.scaler, step.state.feedback.to(META))  # type: ignore[arg-type]
    away = replace(step.setup, noise=replace(step.setup.noise, device=META))
    real = [Batch(*pair) for pair in all_there([(batch.images, batch.labels) for batch in drawn.real])]
    uniform = [[there(each) for each in column] for column in (drawn.real_uniform, drawn.fake_uniform)]
    draws = Draws(real, all_there(drawn.fake), *uniform)
    with OnlyRepeating():
        found = fastest_step(away, state).update(away, state, draws, rates)
        away.augment.observe(state.feedback, found.real_logits[0], 3)
    assert {value.device for value in [*found.scalars.values(), *found.real_logits]} == {META}


def test_what_waits_is_noticed() -> None:
    with pytest.raises(AssertionError, match="waits for the device"), NeverWaiting():
        torch.ones(1).item()


def test_fast_fp32_is_for_cuda_alone_and_is_taken_back() -> None:
    before = torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.benchmark
    with devices.restored():
        devices.prefer_speed(torch.device("cpu"), False)
        assert (torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.benchmark) == before
        devices.prefer_speed(torch.device("cuda"), False)
        assert (torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.benchmark) == ("tf32", True)
        assert torch.backends.cuda.matmul.allow_tf32  # what asks by the older name does not raise
        devices.prefer_speed(torch.device("cuda"), True)
        assert not torch.backends.cudnn.benchmark
    assert (torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.benchmark) == before
    assert not torch.backends.cuda.matmul.allow_tf32


def cuda_step(name: str, precision: str = "fp32", augmentation: str = "none", **way: bool) -> Step:
    """As `make_step`, on the first GPU."""
    device, recipe = torch.device("cuda"), small(name).fitted(SPEC, 40, 1000)
    state = training_state.create(recipe, SPEC, 0, device, precision)
    real = ResidentImages(IMAGES.to(device), None, 8, 0, mirror=True)
    noise = Noise(recipe.latent_values(SPEC), 0, 8, 0, device)
    return fastest_step(Setup(recipe, real, noise, precision, augmentation=augmentation), state, **way)


def assert_near(ours: list[dict[str, Tensor]], theirs: list[dict[str, Tensor]], tolerance: float) -> None:
    for number, (found, expected) in enumerate(zip(ours, theirs, strict=True)):
        for name, value in expected.items():
            where = partial("step {}, {}: {}".format, number, name)
            torch.testing.assert_close(found[name], value, rtol=tolerance, atol=tolerance, msg=where)


@on_cuda
@pytest.mark.parametrize("name", ["vanilla", "dcgan", "dragan", "r3gan", "wgan-gp"])
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-3), ("bf16", 0.05)])
def test_the_fast_way_on_cuda_is_the_plain_one(name: str, precision: str, tolerance: float) -> None:
    plain, fast = cuda_step(name, precision, plain=True), cuda_step(name, precision)
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = [(plain(), fast()) for _ in range(3)]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    ours, theirs = zip(*found, strict=True)
    assert_near(list(ours), list(theirs), tolerance)


@on_cuda
@pytest.mark.parametrize("augmentation", ["none", "ada", "diffaug"])
@pytest.mark.parametrize("name", recipes.names())
def test_what_must_repeat_does_so_on_cuda(name: str, augmentation: str) -> None:
    devices.make_deterministic(True)
    try:
        first, second = (labelled(cuda_step(name, augmentation=augmentation)) for _ in range(2))
        for _ in range(3):
            first(), second()
    finally:
        devices.make_deterministic(False)
    for ours, theirs in zip(tensors(first.state.g), tensors(second.state.g), strict=True):
        assert torch.equal(ours, theirs)


@on_cuda
@pytest.mark.slow
@pytest.mark.parametrize("name", ["vanilla", "dcgan", "dragan", "r3gan", "wgan"])
def test_what_is_compiled_on_cuda_gives_the_plain_steps(name: str) -> None:
    """As one graph, or with a graph for each network where the step is not Adam's."""
    assert compile_choice.choose("on", 10, lambda way: cuda_step(name, compiled=way == "on")) == "on"
    assert isinstance(cuda_step(name, compiled=True).update, CompiledStep) == (name != "wgan")


@on_cuda
@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("augmentation", ["none", "ada"])
def test_a_graph_on_cuda_goes_on_as_the_plain_step_does_and_never_waits(augmentation: str, precision: str) -> None:
    both = [cuda_step("dcgan", precision, augmentation=augmentation, compiled=compiled) for compiled in (True, False)]
    found: list[list[dict[str, Tensor]]] = [[], []]
    for number in range(6):
        torch.cuda.set_sync_debug_mode("error" if number > 2 else "default")
        try:
            for step, scalars in zip(both, found, strict=True):
                scalars.append(step())
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert_near(*found, tolerance=0.01 if precision == "fp32" else 0.1)
