"""What every measurement of steps uses: gancli's step, turns, the device's peak, and operations counted."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from example_loops import BATCH_SIZE
from torch.nn.functional import conv2d, linear
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import conv_flop_count, flop_registry

from gancli import recipes
from gancli.machine import devices
from gancli.recipes.base import Spec
from gancli.runs import compile_choice
from gancli.steps import state as training_state
from gancli.steps.batches import Noise, ResidentImages
from gancli.steps.setup import Setup
from gancli.steps.step import Step, fastest_step

Name = TypeVar("Name")
WAYS = ("plain", "fp32", "bf16")
COMPILED = ("fp32 compiled", "bf16 compiled")


@dataclass(frozen=True)
class Case:
    """What is timed: a recipe's step, and the example's loop that does the same."""

    recipe: str
    spec: Spec
    example: Callable[[torch.Tensor, torch.device], Callable[[], object]] | None
    steps: int
    """Of each kind in a round."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Hyperparameters that differ from the recipe's own."""
    batch_size: int = BATCH_SIZE


def pictures(spec: Spec) -> torch.Tensor:
    """Random ones, uint8: what is on them makes no difference to the time."""
    return torch.randint(0, 256, (1280, *spec.shape), dtype=torch.uint8)


def gancli_step(case: Case, images: torch.Tensor, device: torch.device, way: str) -> Step:
    """The step as ``gancli train`` builds it, which also keeps the average of G; ``way``: a precision, or plain."""
    recipe = recipes.find(case.recipe)(**case.settings).fitted(case.spec, 60_000, 1_000_000)
    precision = "bf16" if way.startswith("bf16") else "fp32"
    state = training_state.create(recipe, case.spec, 0, device, precision)
    real, noise = (
        ResidentImages(images.to(device), None, case.batch_size, 0),
        Noise(recipe.latent_dim, 0, case.batch_size, 0, device),
    )
    setup = Setup(recipe, real, noise, precision)
    return fastest_step(setup, state, plain=way == "plain", compiled=way.endswith("compiled"))


def in_turns(
    steps: dict[Name, Callable[[], object]], rounds: int, count: int, device: torch.device
) -> dict[Name, float]:
    """Median seconds of a step of each, all of them measured in every round; the first round does not count."""
    seconds: dict[Name, list[float]] = {name: [] for name in steps}
    for _ in range(rounds + 1):
        for name, step in steps.items():
            began = time.perf_counter()
            for _ in range(count):
                step()
            devices.synchronise(device)
            seconds[name].append((time.perf_counter() - began) / count)
    return {name: statistics.median(values[1:]) for name, values in seconds.items()}


def peaks(device: torch.device, dtype: torch.dtype = torch.float32) -> dict[str, Callable[[], object]]:
    """A matrix product of the size in perceptrons and a convolution of that in DCGAN's middle.

    On a GPU, which those would not fill, larger ones.
    """
    on_cpu = device.type == "cpu"
    factors = ((128, 784), (512, 784)) if on_cpu else ((8192, 8192), (8192, 8192))
    left, right = (torch.randn(shape, device=device, dtype=dtype) for shape in factors)
    maps, filters = (
        torch.randn(shape, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)
        for shape in (((64, 64, 16, 16), (128, 64, 4, 4)) if on_cpu else ((64, 256, 64, 64), (512, 256, 4, 4)))
    )
    return {"peak product": lambda: linear(left, right), "peak convolution": lambda: conv2d(maps, filters, None, 2, 1)}


class Counter(TorchDispatchMode):
    """Adds up operations as torch's own counter does, which cannot be used where gradients are asked for by edge."""

    total = 0

    def __torch_dispatch__(self, function: Any, kinds: Any, values: Any = (), options: Any = None) -> Any:
        """Run it and count it."""
        made = function(*values, **(options or {}))
        self.total += operations(function, values, options or {}, made)
        return made


def operations(function: Any, values: Any, options: Any, made: Any) -> int:
    """Floating-point operations of one call; 0 of what is neither product nor convolution."""
    if function.overloadpacket == torch.ops.aten.convolution_backward:  # torch takes groups for one in a gradient
        gradient, maps, weight = values[:3]
        one_pass = conv_flop_count(maps.shape, weight.shape, gradient.shape, transposed=values[7])
        return one_pass * sum(values[10][:2])
    count = flop_registry.get(function.overloadpacket)
    return count(*values, **options, out_val=made) if count else 0


def flops(step: Callable[[], object]) -> int:
    """Floating-point operations of the products and convolutions of one step."""
    with Counter() as counter:
        step()
    return counter.total


def begun(step: Callable[[], object]) -> bool:
    """Do the steps in which everything is compiled; False, and the reason printed, where it cannot be."""
    try:
        for _ in range(compile_choice.TRIED):
            step()
    except Exception as error:  # a compiler fails in ways of its own
        print(f"not compiled: {type(error).__name__}: {str(error).splitlines()[0]}")
        return False
    return True
