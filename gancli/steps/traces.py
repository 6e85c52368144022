"""Trace a function (`make_fx`), and compile the trace."""

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
    """Run a function once and record its torch operations, including backward passes."""
    with _without_cudnn(), torch.autograd.set_multithreading_enabled(False):  # a trace records one thread only
        return _of_any_layout(make_fx(function, decomposition_table=REPLACED)(*inputs))


def _of_any_layout(traced: GraphModule) -> GraphModule:
    """The trace with views replaced by reshapes, which work for every memory layout."""
    for node in traced.graph.nodes:
        if node.target is torch.ops.aten.view.default:
            node.target = torch.ops.aten.reshape.default
    traced.recompile()
    return traced


@contextlib.contextmanager
def _without_cudnn() -> Iterator[None]:
    """In this context batch normalisation is an operation whose running statistics the compiler can update.

    Convolutions are the same operation, in another memory layout; see `_of_any_layout`.
    """
    before = torch.backends.cudnn.enabled
    torch.backends.cudnn.enabled = False
    try:
        yield
    finally:
        torch.backends.cudnn.enabled = before


def made_fast(traced: GraphModule, inputs: list[Tensor], device: torch.device) -> Function:
    """The trace, compiled; on CUDA recorded as one graph, uncompiled if there is no Triton."""
    ordered = draws_in_order(traced)
    if device.type == "cuda":
        return Recorded(compiled_by_torch(traced) if ordered and find_spec("triton") else traced, inputs)
    if not ordered:
        raise RuntimeError(f"torch {torch.__version__} would draw in another order")
    return compiled_by_torch(traced)


def draws_in_order(traced: GraphModule) -> bool:
    """True if compiled code keeps the order of random draws; older compilers may reorder two or more."""
    drawing = [n for n in traced.graph.nodes if torch.Tag.nondeterministic_seeded in getattr(n.target, "tags", ())]
    if len(drawing) < 2:
        return True
    from torch._inductor.fx_passes import post_grad  # takes two seconds, so only when compiling

    return hasattr(post_grad, "_chain_random_ops_for_ordering")


def compiled_by_torch(traced: nn.Module) -> Function:
    """Compile for fixed shapes; random layers draw the same numbers as uncompiled."""
    options: dict[str, Any] = {"fallback_random": True, "deterministic": torch.are_deterministic_algorithms_enabled()}
    if hasattr(torch.compiler, "skip_all_guards_unsafe"):  # what guards check never changes
        options["guard_filter_fn"] = torch.compiler.skip_all_guards_unsafe
    return torch.compile(traced, fullgraph=True, dynamic=False, options=options)


def _unpadded(gradient: Tensor, maps: Tensor, padding: list[int]) -> Tensor:
    """Gradient of replication padding for ``maps``: each border adds the gradients of its copies."""
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
"""Operations to replace in a trace: the compiler rejects this one in channels-last format."""
