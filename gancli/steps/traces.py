"""Traces of a function that runs once (`make_fx`), and the code that the compiler makes of them."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from gancli.steps.cuda_graph import Recorded

Function = Callable[..., list[Tensor]]


def written_down(function: Function, inputs: Sequence[Tensor]) -> GraphModule:
    """The torch operations of a function, backward passes among them, for inputs of these shapes; runs it once."""
    with _without_cudnn(), torch.autograd.set_multithreading_enabled(False):  # a trace is of one thread
        return _of_any_layout(make_fx(function, decomposition_table=REPLACED)(*inputs))


def _of_any_layout(traced: GraphModule) -> GraphModule:
    """The trace with reshapes in place of views, which hold for one memory layout only."""
    for node in traced.graph.nodes:
        if node.target is torch.ops.aten.view.default:
            node.target = torch.ops.aten.reshape.default
    traced.recompile()
    return traced


@contextlib.contextmanager
def _without_cudnn() -> Iterator[None]:
    """Batch normalisation is then an operation whose running statistics the compiler knows to move.

    Convolutions stay the same operation, in another memory layout; see `_of_any_layout`.
    """
    before = torch.backends.cudnn.enabled
    torch.backends.cudnn.enabled = False
    try:
        yield
    finally:
        torch.backends.cudnn.enabled = before


def made_fast(traced: GraphModule, inputs: list[Tensor], device: torch.device) -> Function:
    """The trace compiled; on CUDA recorded as one graph, of its own operations where there is no Triton."""
    ordered = draws_in_order(traced)
    if device.type == "cuda":
        return Recorded(compiled_by_torch(traced) if ordered and find_spec("triton") else traced, inputs)
    if not ordered:
        raise RuntimeError(f"torch {torch.__version__} would draw in another order")
    return compiled_by_torch(traced)


def draws_in_order(traced: GraphModule) -> bool:
    """Whether compiled code keeps the order of random draws; older compilers reorder several."""
    drawing = [n for n in traced.graph.nodes if torch.Tag.nondeterministic_seeded in getattr(n.target, "tags", ())]
    if len(drawing) < 2:
        return True
    from torch._inductor.fx_passes import post_grad  # two seconds, for those who compile

    return hasattr(post_grad, "_chain_random_ops_for_ordering")


def compiled_by_torch(traced: nn.Module) -> Function:
    """Compile for fixed shapes; random layers draw the same numbers as uncompiled."""
    options: dict[str, Any] = {"fallback_random": True, "deterministic": torch.are_deterministic_algorithms_enabled()}
    if hasattr(torch.compiler, "skip_all_guards_unsafe"):  # nothing that they would look at ever changes
        options["guard_filter_fn"] = torch.compiler.skip_all_guards_unsafe
    return torch.compile(traced, fullgraph=True, dynamic=False, options=options)


def _unpadded(gradient: Tensor, maps: Tensor, padding: list[int]) -> Tensor:
    """Gradient of replication padding by ``maps``: each border takes the gradients of its copies."""
    for dim, (before, after) in ((3, padding[:2]), (2, padding[2:])):
        size, behind = gradient.shape[dim], 2 * (3 - dim) * (0,)
        inner = size - before - after
        first, last = gradient.narrow(dim, 0, before), gradient.narrow(dim, size - after, after)
        gradient = (
            gradient.narrow(dim, before, inner)
            + torch.constant_pad_nd(first.sum(dim, keepdim=True), [*behind, 0, inner - 1])
            + torch.constant_pad_nd(last.sum(dim, keepdim=True), [*behind, inner - 1, 0])
        )
    return gradient


REPLACED = {torch.ops.aten.replication_pad2d_backward.default: _unpadded}
"""Operations to replace in a trace: the compiler refuses this one's memory layout with channels last."""
