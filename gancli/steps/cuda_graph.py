"""Record a function's kernels once and launch them together, since small networks mostly wait for launches.

https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs lists what can be recorded.
"""

import gc
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

WARM_UP = 3
"""Calls before recording, in which libraries choose kernels and allocate workspaces."""


class Recorded:
    """A function that runs the same kernels in every call, recorded as one CUDA graph.

    It may change its own tensors in place. It is called `WARM_UP` times before recording; recording computes nothing.
    Random layers draw from the device's default generator in its state at each call.
    """

    def __init__(self, function: Callable[..., list[Tensor]], inputs: Sequence[Tensor]) -> None:
        self._function, self._inputs = (
            function,
            [value.clone() for value in inputs],
        )  # a graph keeps nothing alive
        with torch.cuda.device(self._inputs[0].device), torch.no_grad():
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                for _ in range(WARM_UP):
                    function(*self._inputs)
            torch.cuda.current_stream().wait_stream(aside)
            gc.collect()  # freeing an older graph would abort the recording
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph, stream=aside, capture_error_mode="thread_local"):  # others pin memory
                self._outputs = function(*self._inputs)

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        """The function's results for inputs of the same shapes; the next call overwrites them."""
        torch._foreach_copy_(self._inputs, inputs, non_blocking=True)
        self._graph.replay()
        return self._outputs
