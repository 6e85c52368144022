"""The ways that a whole step can go on a GPU, apart from each other: traced, compiled, recorded as a graph."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import torch
from gpu_rows import Skipped
from torch import Tensor

from gancli.runs import compile_choice
from gancli.steps import traces
from gancli.steps.compiled_step import CompiledStep
from gancli.steps.cuda_graph import Recorded
from gancli.steps.step import Step

Function = Callable[..., list[Tensor]]
Traced = list[tuple[Function, list[Tensor]]]


@contextlib.contextmanager
def as_traced(way: str) -> Iterator[Traced]:
    """What steps that are traced meanwhile become: ``graph`` of torch's own kernels, ``compiled``, or both.

    On a CPU, which has no graphs, what is traced or compiled remains. Yields the functions and their inputs, each
    before it is recorded. Skipped where gancli itself records torch's own kernels: the compiled step would draw in
    another order.
    """
    found: Traced = []

    def made_fast(traced: Any, inputs: list[Tensor], device: torch.device) -> Function:
        if "compiled" in way and not traces.draws_in_order(traced):
            raise Skipped("not compiled: this torch would draw in another order; gancli records torch's own kernels")
        function = traces.compiled_by_torch(traced) if "compiled" in way else traced
        found.append((function, inputs))
        return Recorded(function, inputs) if "graph" in way and device.type == "cuda" else function

    with patch.object(traces, "made_fast", made_fast):
        yield found


def ways_of(step: Step, way: str) -> dict[str, Callable[[], object]]:
    """The step as its trace, or as what the compiler makes of that (``way``: "traced", "compiled"); on CUDA also as a
    graph of the same. All of them go on with the one state. Skipped if it is not traced as a whole.
    """
    whole = step.update
    if not isinstance(whole, CompiledStep):
        raise Skipped("the step is not traced as a whole")
    with as_traced(way) as found:
        for _ in range(compile_choice.TRIED):
            step()
    ((function, inputs),) = found
    functions = {way: function}
    if step.setup.noise.device.type == "cuda":
        functions[f"{way} graph"] = Recorded(function, inputs)

    def taking(function: Function) -> Callable[[], object]:
        def run() -> object:
            whole.function = function
            return step()

        return run

    return {name: taking(function) for name, function in functions.items()}


@contextlib.contextmanager
def arithmetic(name: str) -> Iterator[None]:
    """What multiplies float32: ``fp32`` rounds nothing; ``tf32`` and everything else lets CUDA use TF32."""
    fast = name != "fp32"
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark
    try:
        _set_tf32(fast, fast)
        cudnn.benchmark = True
        yield
    finally:
        _set_tf32(*before[:2])
        cudnn.benchmark = before[2]


def _set_tf32(products: bool, convolutions: bool) -> None:
    """By the older names and by the newer, since torch refuses to answer where they contradict each other."""
    words = {True: "tf32", False: "ieee"}
    torch.backends.cuda.matmul.allow_tf32 = products
    torch.backends.cuda.matmul.fp32_precision = words[products]
    torch.backends.cudnn.allow_tf32 = convolutions
    torch.backends.cudnn.conv.fp32_precision = words[convolutions]
