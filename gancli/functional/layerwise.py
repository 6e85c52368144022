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
from collections.abc import Iterable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge

from gancli.functional import linear_layers

LINEAR = frozenset(
    f"{name}Backward{number}"
    for name, number in (
        ("AdaptiveAvgPool2D", 0), ("Add", 0), ("AvgPool2D", 0), ("Clone", 0), ("ConstantPadNd", 0), ("Convolution", 0),
        ("Expand", 0), ("Hardtanh", 0), ("LeakyRelu", 0), ("LeakyRelu", 1), ("MaxPool2DWithIndices", 0), ("Mean", 0),
        ("Mean", 1), ("Mul", 0), ("Neg", 0), ("Permute", 0), ("ReflectionPad2D", 0), ("Relu", 0),
        ("ReplicationPad2D", 0), ("ReshapeAlias", 0), ("Slice", 0), ("Squeeze", 0), ("Squeeze", 1), ("Sub", 0),
        ("Sum", 0), ("Sum", 1), ("Transpose", 0), ("Unsqueeze", 0), ("UnsafeView", 0), ("UpsampleBilinear2D", 0),
        ("UpsampleBilinear2D", 1), ("UpsampleNearest2D", 0), ("UpsampleNearest2D", 1), ("View", 0), ("Product", ""),
    )
)  # fmt: skip
"""Autograd's names of what is piecewise linear in an image; of `PRODUCTS` if one factor alone depends on it."""
PRODUCTS = frozenset({"MulBackward0", "ConvolutionBackward0"})
SUMS = frozenset({"AddBackward0", "SubBackward0"})
CURVED = (
    nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.LocalResponseNorm, nn.Tanh, nn.Sigmoid, nn.SiLU,
    nn.GELU, nn.ELU, nn.Softplus, nn.utils.parametrize.ParametrizationList,
)  # fmt: skip
"""Layers that are not piecewise linear, or whose weights are computed from others."""


@dataclass(frozen=True)
class Visit:
    """One use of a layer with weights: what went in and where in autograd's graph its two ends are."""

    layer: nn.Module
    before: Tensor
    before_edge: GradientEdge | None
    """None if what went in does not depend on the images."""
    after_edge: GradientEdge

    @property
    def trained(self) -> list[nn.Parameter]:
        """The layer's own weights that are to be trained."""
        return _trained(self.layer)

    @property
    def in_graph(self) -> bool:
        """Whether the graph knows the layer's weights, which `linear_layers.Product` hides."""
        return self.before_edge is None or not linear_layers.is_product(self.layer)


@contextmanager
def watched(network: nn.Module, wanted: slice = linear_layers.ALL) -> Iterator[list[Visit]]:
    """Note each use of a layer that has weights to train, in the list that it gives.

    What is computed inside has no gradient for the weights of linear layers but through `weight_gradients`, and none
    but for the ``wanted`` images.
    """
    visits: list[Visit] = []

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
        if not inputs or not output.requires_grad:  # it makes weights for others, or nothing is to be differentiated
            return None
        before, before_edge = inputs[0], None
        if before.requires_grad:
            before_edge = get_gradient_edge(before)
            if linear_layers.is_product(layer):
                rows = linear_layers.ALL if visits else wanted  # no weight that is trained lies before the first layer
                output = linear_layers.Product.apply(before, linear_layers.Done(layer, output.detach(), rows))
        visits.append(Visit(layer, before.detach(), before_edge, get_gradient_edge(output)))
        return output

    handles = [layer.register_forward_hook(note) for layer in network.modules() if _trained(layer)]
    try:
        yield visits
    finally:
        for handle in handles:
            handle.remove()


def covered(logits: Tensor, visits: list[Visit]) -> bool:
    """Whether every use of a weight in the graph behind D's logits ``(N,)`` is a visit's, so that none is missed."""
    whole = all(len(visit.before) == len(logits) for visit in visits)
    used = Counter(id(weight) for node in nodes(logits) for weight in weights_of(node))
    return whole and used == Counter(id(weight) for visit in visits if visit.in_graph for weight in visit.trained)


def may_be_piecewise_linear(network: nn.Module) -> bool:
    """Whether it is worth a pass to find out, see `piecewise_linear`: it has none of the usual layers that are not."""
    return not any(isinstance(module, CURVED) for module in network.modules())


def piecewise_linear(logits: Tensor, visits: list[Visit]) -> bool:
    """Whether D's logits are piecewise linear in the images, and weights outside of linear layers merely added.

    It is read off autograd's graph, which cannot overlook what a module's code does.
    """
    constant = {visit.after_edge.node for visit in visits if visit.before_edge is None}
    for node in nodes(logits, constant):
        factors = sum(child is not None for child, _ in node.next_functions)
        if factors == 0:
            continue
        if node.name() not in LINEAR or (node.name() in PRODUCTS and factors > 1):
            return False
        if node.name() not in SUMS and weights_of(node):
            return False
    return True


def nodes(output: Tensor, constant: Set[Node] = frozenset()) -> Iterable[Node]:
    """Every function of the graph behind a tensor, once, up to those that are constant."""
    found: dict[Node, None] = {}
    waiting = [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in found and node not in constant:
            found[node] = None
            waiting += [child for child, _ in node.next_functions]
    return found


def weights_of(node: Node) -> list[nn.Parameter]:
    """The parameters that a function of the graph takes, once for each time."""
    leaves = [getattr(child, "variable", None) for child, _ in node.next_functions]
    return [leaf for leaf in leaves if isinstance(leaf, nn.Parameter)]


def weight_gradients(visit: Visit, delta: Tensor, weights: Tensor, tangent: Tensor | None = None) -> list[Tensor]:
    """The gradients of ``visit.trained`` for sum_i c_i D(x_i) and, with a tangent, v_i . g_i: see the module.

    ``delta`` is dD/d(the layer's output), ``weights`` c ``(N,)``, ``tangent`` t, shaped as the layer's input.
    """
    scale = weights.to(delta.dtype)
    if not linear_layers.is_product(visit.layer):
        weighted = delta * _along(scale, delta)
        # the input's too, since torch 2.11's group normalisation with channels last cannot do without
        wanted = (*visit.trained, *((visit.before_edge,) if visit.before_edge else ()))
        found = torch.autograd.grad((visit.after_edge,), wanted, (weighted,), retain_graph=True)
        return list(found[: len(visit.trained)])
    before = visit.before.to(delta.dtype)
    if tangent is not None:
        left, right = delta, torch.addcmul(tangent.to(delta.dtype), before, _along(scale, before))
    elif delta.numel() < before.numel():
        left, right = delta * _along(scale, delta), before
    else:
        left, right = delta, before * _along(scale, before)
    layer, gradients = visit.layer, []
    for parameter in visit.trained:
        gradient = (
            linear_layers.outer(layer, left, right)
            if parameter is layer.weight
            else linear_layers.summed(layer, delta, scale)
        )
        gradients.append(gradient.to(parameter.dtype))
    return gradients


def _along(scale: Tensor, other: Tensor) -> Tensor:
    return scale.view(-1, *[1] * (other.ndim - 1))


def _trained(layer: nn.Module) -> list[nn.Parameter]:
    """As from ``layer.parameters(recurse=False)``, which takes ten times as long."""
    return [parameter for parameter in layer._parameters.values() if parameter is not None and parameter.requires_grad]
