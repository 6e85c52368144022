"""Slicing adversarial networks (Takida 2024, arXiv:2301.12811): D's last layer is a direction with a loss of its own.

D(x) = <w / |w|, h(x)> + b. The recipe's loss trains the features h with the direction fixed. The direction maximises
the Wasserstein distance of the features along it, with the features fixed. Differs from the authors' code: h is not
scaled by |w|, the bias is added to the logit, and |w|, which Adam lets grow slowly, is not reset to 1 after a step.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.utils import parametrize


class Direction(nn.Module):
    """A parametrisation: a weight ``(1, features)`` is normalised, and gets no gradient through the layer."""

    probe: Tensor | None = None
    """A zero that is added to the direction, to get the gradient of logits for it; None outside of D's loss."""

    def forward(self, weight: Tensor) -> Tensor:
        """``(1, features)`` -> the same with length 1, detached."""
        direction = normalize(weight.detach())
        return direction if self.probe is None else direction + self.probe


def normalise_last(d: nn.Module) -> None:
    """Make the weight of D's last layer a `Direction`.

    Raises:
        ValueError: D has not exactly one linear layer with one output.
    """
    last = [layer for layer in d.modules() if isinstance(layer, nn.Linear) and layer.out_features == 1]
    if len(last) != 1:
        raise ValueError("D does not end in one linear layer")
    parametrize.register_parametrization(last[0], "weight", Direction())


@contextlib.contextmanager
def probed(d: nn.Module) -> Iterator[None]:
    """In this context, D's logits have a gradient for the probe of its direction."""
    weight = _parametrised(d)
    direction = weight[-1]
    assert isinstance(direction, Direction)
    direction.probe = torch.zeros_like(weight.original, requires_grad=True)
    try:
        yield
    finally:
        direction.probe = None


def wasserstein_of_direction(d: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """E[<w / |w|, h(G(z))>] - E[<w / |w|, h(x)>] as a function of w alone, for logits that were computed `probed`."""
    weight = _parametrised(d)
    probe = weight[-1].probe
    (difference,) = torch.autograd.grad(fake.mean() - real.mean(), (probe,), retain_graph=True)  # type: ignore[arg-type]
    return (normalize(weight.original) * difference.detach()).sum()


def _parametrised(d: nn.Module) -> parametrize.ParametrizationList:
    return next(
        module
        for module in d.modules()
        if isinstance(module, parametrize.ParametrizationList) and isinstance(module[-1], Direction)
    )
