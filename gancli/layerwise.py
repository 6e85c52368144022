"""Gradients of a discriminator put together layer by layer, so that one backward pass serves for several losses.

Let D mix no samples, and let delta_i be dD(x_i)/dy_i, where y_i = W a_i + b is what a linear layer (or convolution)
makes of its input a_i. For any weights c_i of the samples

    d/dW sum_i c_i D(x_i) = sum_i c_i delta_i a_i^T,    d/db sum_i c_i D(x_i) = sum_i c_i delta_i.

So one pass back, seeded with ones, gives delta; the weights of a loss, c_i = dloss/dD(x_i), come in afterwards, and no
division by a derivative that may have vanished is needed.

Let D be piecewise linear too (ReLU, pooling, residual sums). Then its slopes are constants almost everywhere, and
with g_i = dD/dx_i and any constant direction v_i the number v_i . g_i is what D's linear part, with the slopes and
without the biases, makes of v_i. If t_i is what arrives at a layer on that way, then

    d/dW sum_i v_i . g_i = sum_i delta_i t_i^T,    d/db sum_i v_i . g_i = 0,

and a penalty p(|g_i|^2 / 2) has the gradient of v_i . g_i with v_i = p' g_i. So a loss with a gradient penalty takes
four passes, forward for a, back for delta and g, forward for t, and one product delta (c a + t)^T for each layer;
double backward takes six.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge
from torch.nn.grad import conv2d_weight

LINEAR = frozenset(
    f"{name}Backward{number}"
    for name, number in (
        ("Add", 0), ("Addmm", 0), ("AvgPool2D", 0), ("Clone", 0), ("ConstantPadNd", 0), ("Convolution", 0), ("Div", 0),
        ("LeakyRelu", 0), ("LeakyRelu", 1), ("MaxPool2DWithIndices", 0), ("Mm", 0), ("Mul", 0), ("Neg", 0),
        ("Permute", 0), ("Relu", 0), ("ReplicationPad2D", 0), ("ReshapeAlias", 0), ("Slice", 0), ("Squeeze", 0),
        ("Squeeze", 1), ("Sub", 0), ("T", 0), ("Transpose", 0), ("Unsqueeze", 0), ("UnsafeView", 0), ("View", 0),
    )
)  # fmt: skip
"""Autograd's names of what is piecewise linear in an image, provided that what `_is_product` finds has one factor."""
PRODUCTS = frozenset({"MulBackward0", "DivBackward0"})
SUMS = frozenset({"AddBackward0", "SubBackward0"})


@dataclass(frozen=True)
class Visit:
    """One use of a layer with weights: what went in and where in autograd's graph its two ends are."""

    layer: nn.Module
    before: Tensor
    before_edge: GradientEdge | None
    """None if what went in does not depend on the images."""
    after_edge: GradientEdge

    @property
    def is_product(self) -> bool:
        """Whether the layer is one whose gradient `weight_gradients` writes down itself."""
        return _is_product(self.layer)

    def trained(self) -> list[nn.Parameter]:
        """The layer's own weights that are to be trained."""
        return [parameter for parameter in self.layer.parameters(recurse=False) if parameter.requires_grad]


@contextmanager
def watched(network: nn.Module) -> Iterator[list[Visit]]:
    """Note each use of a layer that has weights to train, in the list that it gives."""
    visits: list[Visit] = []

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if not inputs or not output.requires_grad:  # it makes weights for others, or nothing is to be differentiated
            return
        before_edge = get_gradient_edge(inputs[0]) if inputs[0].requires_grad else None
        visits.append(Visit(layer, inputs[0].detach(), before_edge, get_gradient_edge(output)))

    layers = [m for m in network.modules() if any(p.requires_grad for p in m.parameters(recurse=False))]
    handles = [layer.register_forward_hook(note) for layer in layers]
    try:
        yield visits
    finally:
        for handle in handles:
            handle.remove()


def covered(logits: Tensor, visits: list[Visit]) -> bool:
    """Whether every use of a weight in the graph behind D's logits ``(N,)`` is a visit's, so that none is missed."""
    used = Counter(
        id(leaf.variable)  # type: ignore[attr-defined]
        for node in nodes(logits)
        for leaf, _ in node.next_functions
        if leaf is not None and isinstance(getattr(leaf, "variable", None), nn.Parameter)
    )
    whole = all(len(visit.before) == len(logits) for visit in visits)
    return whole and used == Counter(id(parameter) for visit in visits for parameter in visit.trained())


def piecewise_linear(logits: Tensor, visits: list[Visit]) -> bool:
    """Whether D's logits are piecewise linear in the images and each weight is a product's or is merely added.

    It is read off autograd's graph, which cannot overlook what a module's code does.
    """
    in_products = {id(p) for visit in visits if visit.is_product for p in visit.trained()}
    for node in nodes(logits):
        leaves = [child for child, _ in node.next_functions if child is not None]
        if not leaves:
            continue
        if node.name() not in LINEAR or (node.name() in PRODUCTS and len(leaves) > 1):
            return False
        weights = [leaf.variable for leaf in leaves if isinstance(getattr(leaf, "variable", None), nn.Parameter)]  # type: ignore[attr-defined]
        if node.name() not in SUMS and any(id(weight) not in in_products for weight in weights):
            return False
    return True


def nodes(output: Tensor) -> Iterable[Node]:
    """Every function of the graph behind a tensor, once."""
    found: dict[Node, None] = {}
    waiting = [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in found:
            found[node] = None
            waiting += [child for child, _ in node.next_functions]
    return found


def weight_gradients(visit: Visit, delta: Tensor, weights: Tensor, tangent: Tensor | None = None) -> list[Tensor]:
    """The gradients of ``visit.trained()`` for sum_i c_i D(x_i) and, with a tangent, v_i . g_i: see the module.

    ``delta`` is dD/d(the layer's output), ``weights`` c ``(N,)``, ``tangent`` t, shaped as the layer's input.
    """
    scale = weights.to(delta.dtype)
    scaled = delta * _along(scale, delta)
    if not visit.is_product:
        return list(torch.autograd.grad((visit.after_edge,), visit.trained(), (scaled,), retain_graph=True))
    before = visit.before.to(delta.dtype)
    if tangent is None:
        left, right = scaled, before
    else:
        left, right = delta, torch.addcmul(tangent.to(delta.dtype), before, _along(scale, before))
    layer, found = visit.layer, []
    for parameter in visit.trained():
        gradient = _product(layer, left, right) if parameter is layer.weight else _summed(layer, scaled)
        found.append(gradient.to(parameter.dtype))
    return found


def _along(scale: Tensor, other: Tensor) -> Tensor:
    return scale.view(-1, *[1] * (other.ndim - 1))


def _product(layer: nn.Module, delta: Tensor, before: Tensor) -> Tensor:
    """sum_i delta_i a_i^T, over the places of a convolution too."""
    if isinstance(layer, nn.Linear):
        return delta.flatten(0, -2).T @ before.flatten(0, -2)
    assert isinstance(layer, nn.Conv2d) and not isinstance(layer.padding, str)
    return conv2d_weight(before, layer.weight.shape, delta, layer.stride, layer.padding, layer.dilation, layer.groups)


def _summed(layer: nn.Module, scaled: Tensor) -> Tensor:
    return scaled.flatten(0, -2).sum(0) if isinstance(layer, nn.Linear) else scaled.sum((0, 2, 3))


def _is_product(layer: nn.Module) -> bool:
    if type(layer) is nn.Conv2d:
        return layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    return type(layer) is nn.Linear
