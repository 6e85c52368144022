"""FreezeD: fine-tuning with the lowest layers of D frozen, Mo 2020 (arXiv:2002.10964), section 3."""

import copy
import itertools

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from gancli.functional import layerwise
from gancli.recipes.base import AT_THE_END, Recipe, Spec

META = torch.device("meta")
LAYERS = (nn.Linear, _ConvNd)


def freeze_lowest(recipe: Recipe, spec: Spec, d: nn.Module, layers: int, batch_size: int) -> None:
    """Freeze the weights of D's first ``layers`` layers, counted from the image.

    A layer is a linear map or convolution with everything up to the next one.

    Raises:
        ValueError: D would have no layer left to train.
    """
    by_layer: dict[str, list[str]] = {}
    for name in _in_order_of_use(recipe, spec, d, batch_size):
        by_layer.setdefault(name.rpartition(".")[0].partition(".parametrizations")[0], []).append(name)
    numbers = list(itertools.accumulate(int(isinstance(d.get_submodule(layer), LAYERS)) for layer in by_layer))
    if not numbers or layers >= numbers[-1]:
        raise ValueError(f"D has {numbers[-1] if numbers else 0} layers, of which at least one must be left to train")
    for names, number in zip(by_layer.values(), numbers, strict=True):
        for name in names if number <= layers else ():
            d.get_parameter(name).requires_grad_(False)


def _outlined_labels(spec: Spec, count: int) -> torch.Tensor:
    if spec.conditions:
        return torch.zeros(count, spec.conditions, device=META)
    return torch.zeros(count, dtype=torch.long, device=META)


def _in_order_of_use(recipe: Recipe, spec: Spec, d: nn.Module, batch_size: int) -> list[str]:
    """Names of the parameters in the order of first use by a forward pass.

    The pass is done by a copy on the meta device, with all layers of a growing network.
    """
    outline = copy.deepcopy(d).to(META)
    recipe.advance(outline, AT_THE_END)
    labels = _outlined_labels(spec, batch_size) if recipe.conditional else None
    logits = outline(torch.zeros(batch_size, *spec.shape, device=META), labels)
    names, first = {id(parameter): name for name, parameter in outline.named_parameters()}, dict[str, int]()
    for node in layerwise.nodes(logits):
        for parameter in layerwise.weights_of(node):
            name = names[id(parameter)]
            first[name] = min(first.get(name, node._sequence_nr()), node._sequence_nr())
    return sorted(first, key=lambda name: first[name])
