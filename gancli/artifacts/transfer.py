"""Copy weights, layer by layer, from a network for other sizes, channels, classes or conditions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from gancli.errors import FileFormatError
from gancli.recipes.base import Recipe, Spec

Layer = tuple[tuple[str, torch.dtype, tuple[int, ...]], ...]
"""Name, dtype and shape of each tensor of a layer; shapes exclude the entries of labels."""


@dataclass(frozen=True)
class Weights:
    """The tensors of a network, and the dimensions along which they have an entry for each class or condition."""

    tensors: Mapping[str, Tensor]
    labels: tuple[str, ...] = ()
    """Names of the classes or conditions."""
    axes: Mapping[str, int] = field(default_factory=dict)
    """By tensor name, the dimension whose last entries belong to the labels, one entry each."""

    def shared(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, excluding the entries of labels."""
        axis = self.axes.get(name)
        shape = self.tensors[name].shape
        return tuple(size - len(self.labels) * (place == axis) for place, size in enumerate(shape))

    def layers(self) -> dict[str, list[str]]:
        """The names of the tensors of each layer, in the order of the network."""
        by_layer: dict[str, list[str]] = {}
        for name in self.tensors:
            by_layer.setdefault(layer_of(name), []).append(name)
        return by_layer

    def kinds(self) -> list[Layer]:
        """The names, types and shapes of each layer's tensors; equal for layers that can share weights."""
        return [
            tuple((name[len(layer) :], self.tensors[name].dtype, self.shared(name)) for name in sorted(names))
            for layer, names in self.layers().items()
        ]


@dataclass(frozen=True)
class Taken:
    """The layers and tensors that a network took from another."""

    names: frozenset[str]
    """Names of the taken tensors, as in the network that took them."""
    layers: int
    """Number of its layers that were taken."""
    total: int
    """Number of all its layers."""

    @property
    def is_whole(self) -> bool:
        """True if every layer was taken; entries of new labels may still be unchanged."""
        return self.layers == self.total


def label_axes(recipe: Recipe, spec: Spec) -> tuple[dict[str, int], dict[str, int]]:
    """`Weights.axes` of the recipe's G and D: the dimensions that grow by one for each class or condition."""
    if not recipe.conditional or not spec.label_values:
        return {}, {}
    kind = "conditions" if spec.conditions else "classes"
    with torch.device("meta"):
        networks, larger = (recipe.networks(replace(spec, **{kind: spec.label_values + more})) for more in (0, 1))
    g, d = (_grown(*pair) for pair in zip(networks, larger, strict=True))
    return g, d


def _grown(network: nn.Module, larger: nn.Module) -> dict[str, int]:
    after = larger.state_dict()
    grown = {}
    for name, tensor in network.state_dict().items():
        steps = [more - size for size, more in zip(tensor.shape, after[name].shape, strict=True)]
        if any(steps):
            assert sorted(steps)[-1] == sum(steps) == 1, f"{name} has no entry of its own for each label"
            grown[name] = steps.index(1)
    return grown


@torch.no_grad()
def take(ours: Weights, theirs: Weights, what: str) -> Taken:
    """Copy every layer of ``theirs`` that fits into ``ours``, in order; other layers of ``ours`` stay unchanged.

    Two layers fit if their tensors have the same names within the layer, dtypes and shapes, excluding the entries of
    labels. Those are copied between labels of the same name.

    Raises:
        FileFormatError: values are not finite; the message names the tensor and the network ``what``.
    """
    layers, others = list(ours.layers().values()), list(theirs.layers().values())
    pairs = longest_common(ours.kinds(), theirs.kinds())
    for mine, other in pairs:
        for name, source in zip(sorted(layers[mine]), sorted(others[other]), strict=True):
            if not bool(theirs.tensors[source].isfinite().all()):
                raise FileFormatError(f"the {what}'s weights are of no use: {source} holds values that are not finite.")
            _copy(ours, name, theirs, source)
    names = frozenset(name for mine, _ in pairs for name in layers[mine])
    return Taken(names, len(pairs), len(layers))


def _copy(ours: Weights, name: str, theirs: Weights, source: str) -> None:
    target, values = ours.tensors[name], theirs.tensors[source]
    axis, other = ours.axes.get(name), theirs.axes.get(source)
    if axis is None and other is None:
        target.copy_(values)
        return
    along = axis if axis is not None else other
    assert along is not None
    shared = ours.shared(name)[along]
    target.narrow(along, 0, shared).copy_(values.narrow(along, 0, shared))
    if axis is not None and other is not None:
        for place, each in enumerate(ours.labels):
            if each in theirs.labels:
                entry = values.select(along, shared + theirs.labels.index(each))
                target.select(along, shared + place).copy_(entry)


def longest_common(ours: Sequence[object], theirs: Sequence[object]) -> list[tuple[int, int]]:
    """Indices of the longest common subsequence of two sequences."""
    lengths = [[0] * (len(theirs) + 1) for _ in range(len(ours) + 1)]
    for i in reversed(range(len(ours))):
        for j in reversed(range(len(theirs))):
            longer = max(lengths[i + 1][j], lengths[i][j + 1])
            lengths[i][j] = lengths[i + 1][j + 1] + 1 if ours[i] == theirs[j] else longer
    pairs, i, j = [], 0, 0
    while i < len(ours) and j < len(theirs):
        if ours[i] == theirs[j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif lengths[i + 1][j] >= lengths[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs


def layer_of(tensor: str) -> str:
    """``blocks.0.linear`` for ``blocks.0.linear.parametrizations.weight.original`` and ``blocks.0.linear.bias``."""
    name, parametrised, _ = tensor.partition(".parametrizations.")
    return name if parametrised else tensor.rpartition(".")[0]
