"""The result of a training step."""

from dataclasses import dataclass

from torch import Tensor

from gancli.functional.losses import at_least_fp32
from gancli.recipes.base import Loss


@dataclass(frozen=True)
class Outcome:
    """The result of a training step, as tensors on the device."""

    scalars: dict[str, Tensor]
    """Every loss term and D's mean logits."""
    real_logits: list[Tensor]
    """D's logits ``(N,)`` on real images in each of its steps; see `updates.logits_for_feedback`."""


def scalars_of(prefix: str, loss: Loss) -> dict[str, Tensor]:
    """Terms and mean logits by their logged names, such as ``d/adv`` and ``d/logit_real``."""
    terms = {f"{prefix}/{name}": value.detach() for name, value in loss.terms.items()}
    return terms | {
        f"{prefix}/logit_{name}": at_least_fp32(value.detach()).mean() for name, value in loss.logits.items()
    }
