"""Operations written down while a function is run once (`make_fx`), and the code that the compiler makes of them."""

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
    """What the function asks of torch, backward passes among it, for inputs of these shapes; it is run for that."""
    with _without_cudnn(), torch.autograd.set_multithreading_enabled(False):  # a trace is of one thread
        return _of_any_layout(make_fx(function, decomposition_table=REPLACED)(*inputs))


def _of_any_layout(traced: GraphModule) -> GraphModule:
    """The trace without views, which hold for one order in memory, where that of convolutions may be another."""
    for node in traced.graph.nodes:
        if node.target is torch.ops.aten.view.default:
            node.target = torch.ops.aten.reshape.default
    traced.recompile()
    return traced


@contextlib.contextmanager
def _without_cudnn() -> Iterator[None]:
    """So that batches are normalised by an operation that the compiler knows to move the running statistics.

    Convolutions are the same operation, though in another order in memory; see `_of_any_layout`.
    """
    before = torch.backends.cudnn.enabled
    torch.backends.cudnn.enabled = False
    try:
        yield
    finally:
        torch.backends.cudnn.enabled = before


def made_fast(traced: GraphModule, inputs: list[Tensor], device: torch.device) -> Function:
    """The trace as loops, and on CUDA as one graph: of those, or where there is no Triton of its own operations."""
    ordered = draws_in_order(traced)
    if device.type == "cuda":
        return Recorded(compiled_by_torch(traced) if ordered and find_spec("triton") else traced, inputs)
    if not ordered:
        raise RuntimeError(f"torch {torch.__version__} would draw in another order")
    return compiled_by_torch(traced)


def draws_in_order(traced: GraphModule) -> bool:
    """Whether the compiled trace draws what layers draw as the trace does; older compilers move several draws about."""
    drawing = [n for n in traced.graph.nodes if torch.Tag.nondeterministic_seeded in getattr(n.target, "tags", ())]
    if len(drawing) < 2:
        return True
    from torch._inductor.fx_passes import post_grad  # two seconds, for those who compile

    return hasattr(post_grad, "_chain_random_ops_for_ordering")


def compiled_by_torch(traced: nn.Module) -> Function:
    """Code for one shape of everything, which draws what layers draw as it is drawn without."""
    options: dict[str, Any] = {"fallback_random": True, "deterministic": torch.are_deterministic_algorithms_enabled()}
    if hasattr(torch.compiler, "skip_all_guards_unsafe"):  # nothing that they would look at ever changes
        options["guard_filter_fn"] = torch.compiler.skip_all_guards_unsafe
    return torch.compile(traced, fullgraph=True, dynamic=False, options=options)


def _unpadded(gradient: Tensor, maps: Tensor, padding: list[int]) -> Tensor:
    """The gradient by ``maps`` of repeating their borders: what each border was repeated to adds to it."""
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
"""Operations whose place others take in a trace: the compiler expects this one's result in another order in memory than
it has with channels last, and refuses it."""
