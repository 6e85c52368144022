"""Gradients of D's weights, layer by layer, so that one backward pass serves several losses.

**Losses.** Assume that D does not mix samples. A linear layer or convolution computes y_i = W a_i + b for sample i. Let
delta_i = dD(x_i)/dy_i. For any weights c_i of the samples

    d/dW sum_i c_i D(x_i) = sum_i c_i delta_i a_i^T,    d/db sum_i c_i D(x_i) = sum_i c_i delta_i.

One backward pass, seeded with ones, gives every delta_i. A loss enters afterwards through c_i = dloss/dD(x_i). Nothing
is divided by a derivative, which might be zero.

**Gradient penalties.** Assume also that D is piecewise linear (ReLU, pooling, residual sums), so that its slopes are
constant almost everywhere. Let g_i = dD/dx_i, and let v_i be any constant direction. Then v_i . g_i is the output of D
for v_i with the slopes of x_i and without biases. Let t_i be the input of a layer in that pass. Then

    d/dW sum_i v_i . g_i = sum_i delta_i t_i^T,    d/db sum_i v_i . g_i = 0.

A penalty p(|g_i|^2 / 2) has the same gradient as v_i . g_i with v_i = p' g_i.

**Cost.** A loss with a gradient penalty takes four passes: forward for a, backward for delta and g, forward for t, and
one product delta (c a + t)^T for each layer. Double backward takes six.
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
"""Autograd's names of piecewise linear functions; `PRODUCTS` are linear if only one factor depends on the images."""
PRODUCTS = frozenset({"MulBackward0", "ConvolutionBackward0"})
SUMS = frozenset({"AddBackward0", "SubBackward0"})
CURVED = (
    nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.LocalResponseNorm, nn.Tanh, nn.Sigmoid, nn.SiLU,
    nn.GELU, nn.ELU, nn.Softplus, nn.utils.parametrize.ParametrizationList,
)  # fmt: skip
"""Layers that are not piecewise linear, or whose weights are computed from others."""


@dataclass(frozen=True)
class Visit:
    """One use of a layer with weights: its input, and its two ends in autograd's graph."""

    layer: nn.Module
    before: Tensor
    before_edge: GradientEdge | None
    """None if the input does not depend on the images."""
    after_edge: GradientEdge

    @property
    def trained(self) -> list[nn.Parameter]:
        """The layer's own parameters that require a gradient."""
        return _trained(self.layer)

    @property
    def in_graph(self) -> bool:
        """True if the graph contains the layer's weights; `linear_layers.Product` hides them."""
        return self.before_edge is None or not linear_layers.is_product(self.layer)


@contextmanager
def watched(network: nn.Module, wanted: slice = linear_layers.ALL) -> Iterator[list[Visit]]:
    """In this context, record each use of a layer with trained weights in the list that is yielded.

    Outputs computed inside have no autograd gradient for the weights of linear layers: take `weight_gradients`.
    Gradients for images exist only for the ``wanted`` rows.
    """
    visits: list[Visit] = []

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
        if not inputs or not output.requires_grad:  # it computes weights of another layer, or nothing is differentiated
            return None
        before, before_edge = inputs[0], None
        if before.requires_grad:
            before_edge = get_gradient_edge(before)
            if linear_layers.is_product(layer):
                rows = linear_layers.ALL if visits else wanted  # no trained weight comes before the first layer
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
    """True if the visits contain every use of a weight in the graph of D's logits ``(N,)``."""
    whole = all(len(visit.before) == len(logits) for visit in visits)
    used = Counter(id(weight) for node in nodes(logits) for weight in weights_of(node))
    return whole and used == Counter(id(weight) for visit in visits if visit.in_graph for weight in visit.trained)


def may_be_piecewise_linear(network: nn.Module) -> bool:
    """False if the network has a layer that is not; `piecewise_linear` decides after a forward pass."""
    return not any(isinstance(module, CURVED) for module in network.modules())


def piecewise_linear(logits: Tensor, visits: list[Visit]) -> bool:
    """True if D's logits are piecewise linear in the images, and weights outside of linear layers are only added.

    Decided from autograd's graph, which contains everything that a module's code does.
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
    """Every function in the graph of a tensor, once; does not go beyond ``constant`` ones."""
    visited: dict[Node, None] = {}
    waiting = [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in visited and node not in constant:
            visited[node] = None
            waiting += [child for child, _ in node.next_functions]
    return visited


def weights_of(node: Node) -> list[nn.Parameter]:
    """The parameters that are inputs of a function of the graph; repeated if it takes one twice."""
    leaves = [getattr(child, "variable", None) for child, _ in node.next_functions]
    return [leaf for leaf in leaves if isinstance(leaf, nn.Parameter)]


def weight_gradients(visit: Visit, delta: Tensor, weights: Tensor, tangent: Tensor | None = None) -> list[Tensor]:
    """Gradients of sum_i c_i D(x_i), plus sum_i v_i . g_i with a tangent, for ``visit.trained``.

    In the symbols of this module, ``delta`` has the shape of the layer's output y, ``weights`` is c ``(N,)``, and
    ``tangent`` is t, with the shape of the layer's input a.
    """
    scale = weights.to(delta.dtype)
    if not linear_layers.is_product(visit.layer):
        weighted = delta * _along(scale, delta)
        # also for the input: in torch 2.11, group normalisation in channels-last format fails otherwise
        wanted = (*visit.trained, *((visit.before_edge,) if visit.before_edge else ()))
        gradients_and_input = torch.autograd.grad((visit.after_edge,), wanted, (weighted,), retain_graph=True)
        return list(gradients_and_input[: len(visit.trained)])
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
    """The same as from ``layer.parameters(recurse=False)``, in a tenth of the time."""
    return [parameter for parameter in layer._parameters.values() if parameter is not None and parameter.requires_grad]
