"""Convert a network from one standardisation of conditions to another, so that 30 years mean the same to both."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from gancli.artifacts.transfer import layer_of
from gancli.data.conditions import Conditions
from gancli.models.equalised import Equalised


@torch.no_grad()
def convert(network: nn.Module, weights: Iterable[str], ours: Conditions, theirs: Conditions) -> None:
    """Give a network that took the weights of ``theirs`` the same output for the same conditions in users' units.

    A layer's W c + b, with c = (x - m) / s, becomes W' c' + b', with c' = (x - m') / s'. So W' = W s' / s and
    b' = b + W (m' - m) / s. Conditions that only one side has stay as they are.

    A spectrally normalised W' has the norm of W: it keeps the output at c' = 0, and the slope but for a factor.

    Args:
        network: The network whose inputs are standardised by ``ours``.
        weights: Names of its tensors with one column for each condition of ``ours``.
        ours: Conditions with means m' and deviations s'.
        theirs: Conditions with means m and deviations s.
    """
    scales, shifts = _scales_and_shifts(ours, theirs)
    tensors = network.state_dict()
    for name in weights:
        if tensors[name].ndim < 2:  # a vector of spectral normalisation, which follows by itself
            continue
        layer = layer_of(name)
        linear = network.get_submodule(layer)
        assert isinstance(linear, nn.Linear) and linear.bias is not None, f"{name} is not of a layer with a bias"
        around = network.get_submodule(layer.rpartition(".")[0])
        factor = around.scale / around.rate if isinstance(around, Equalised) else 1.0
        linear.bias.add_(factor * (linear.weight @ shifts.to(linear.bias)))
        tensors[name] *= scales.to(tensors[name])


def _scales_and_shifts(ours: Conditions, theirs: Conditions) -> tuple[Tensor, Tensor]:
    """Float64 ``(K,)``: s' / s and (m' - m) / s of each condition of ``ours``; 1 and 0 if ``theirs`` lacks it."""
    scales, shifts = torch.ones(len(ours.names)).double(), torch.zeros(len(ours.names)).double()
    for place, name in enumerate(ours.names):
        if name in theirs.names:
            other = theirs.names.index(name)
            scales[place] = ours.deviations[place] / theirs.deviations[other]
            shifts[place] = (ours.means[place] - theirs.means[other]) / theirs.deviations[other]
    return scales, shifts
