"""What a GPU needs of a step: that it never waits for the device, and the same steps there as on the CPU."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from training_steps import IMAGES, make_step

from gancli import compiling, devices, recipes
from gancli.preparation import top_k_share
from gancli.recipes.base import Recipe, Spec
from gancli.training import state as training_state
from gancli.training.batches import Noise, ResidentImages
from gancli.training.step import Step

SPEC = Spec(1, 8, 8, 4)
aten = torch.ops.aten
WAITS = {aten._local_scalar_dense, aten.nonzero, aten.masked_select, aten.equal, aten.is_nonzero, aten.unique_dim}
on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")


class NeverWaiting(TorchDispatchMode):
    """Refuses what needs a number, or a shape, from the device."""

    def __torch_dispatch__(self, function: Any, kinds: Any, values: Any = (), options: Any = None) -> Any:
        assert function.overloadpacket not in WAITS, f"{function} waits for the device"
        return function(*values, **(options or {}))


def small(name: str) -> Recipe:
    cls = recipes.find(name)
    width = {"width": 16 if name == "r3gan" else 4} if "width" in cls.__dataclass_fields__ else {}
    return cls(**width).fitted(SPEC, 40, 1000)


def labelled(step: Step) -> Step:
    if step.recipe.conditional:
        step.real.labels, step.noise = torch.arange(40) % 4, Noise(step.recipe.latent_dim, 4, 8, 0, step.noise.device)  # type: ignore[attr-defined]
    return step


@pytest.mark.parametrize("name", recipes.names())
def test_no_step_waits_for_the_device(name: str) -> None:
    step = labelled(make_step(small(name), spec=SPEC))
    with NeverWaiting():
        for _ in range(2):
            step.state.running.add(step())


@pytest.mark.parametrize("options", [{"augmentation": "ada"}, {"augmentation": "diffaug"}, {"accumulate": 2}])
def test_no_option_waits_for_the_device(options: dict[str, Any]) -> None:
    step = make_step(small("vanilla"), **options, best_share=lambda seen: top_k_share(0.5, 8, 80 + seen))
    step.real.mirror = True  # type: ignore[attr-defined]
    with NeverWaiting():
        for _ in range(5):
            step.state.running.add(step())


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
        devices.prefer_speed(torch.device("cuda"), True)
        assert not torch.backends.cudnn.benchmark
    assert (torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.benchmark) == before


def cuda_step(name: str, precision: str = "fp32", **options: Any) -> Step:
    """As `make_step`, on the first GPU."""
    device, recipe = torch.device("cuda"), small(name)
    state = training_state.create(recipe, SPEC, 0, device, precision)
    real = ResidentImages(IMAGES.to(device), None, 8, 0, mirror=True)
    return Step(recipe, state, real, Noise(recipe.latent_dim, 0, 8, 0, device), precision, **options)


def assert_near(ours: list[dict[str, Tensor]], theirs: list[dict[str, Tensor]], tolerance: float) -> None:
    for found, expected in zip(ours, theirs, strict=True):
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=tolerance, atol=tolerance, msg=name)


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
@pytest.mark.slow
@pytest.mark.parametrize("name", ["dcgan", "dragan", "r3gan"])
def test_graphs_on_cuda_give_the_plain_steps(name: str) -> None:
    assert compiling.choose("on", 10, lambda way: cuda_step(name, compiled=way == "on")) == "on"
