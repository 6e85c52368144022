"""A batch worked through in parts, so that the memory of one part is enough, with the gradients of the whole.

Up to rounding, and to what layers draw from torch's global generator (dropout), which each part draws anew.
"""

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrize import ParametrizationList

from gancli.recipes.base import Batch, Loss, Recipe


def parts_of(images: int, parts: int) -> list[slice]:
    """The rows of each part of so many images; no two parts differ by more than one image."""
    return [slice(images * i // parts, images * (i + 1) // parts) for i in range(parts)]


def obstacle(recipe: Recipe, g: nn.Module, d: nn.Module) -> str | None:
    """Why the parts of a batch would not make up the whole; None where they do."""
    if recipe.mixes_samples:
        return "D's answer to an image may depend on the others of the batch"
    for name, network in (("G", g), ("D", d)):
        if normalises_batches(network):
            return f"{name}'s batch normalisation mixes the images of a batch"
    return None if recipe.separable else "its loss is no mean over the images of a batch"


def normalises_batches(network: nn.Module) -> bool:
    """Whether it has batch normalisation, of which one image alone is no batch."""
    return any(isinstance(module, _BatchNorm) for module in network.modules())


def joined(batches: Sequence[Batch]) -> Batch:
    """The parts of a batch as one, cut off from the graph that made them."""
    if len(batches) == 1:
        return batches[0].detach()
    columns = ([getattr(b.detach(), name) for b in batches] for name in ("images", "labels", "latents"))
    images, *rest = (None if column[0] is None else torch.cat(column) for column in columns)
    assert images is not None
    return Batch(images, *rest)


def combined(losses: Sequence[Loss], shares: Sequence[float]) -> Loss:
    """The loss of a batch from those of its parts, which are these shares of it; without their graphs."""
    if len(losses) == 1:
        return losses[0]
    terms = {
        name: torch.stack([share * loss.terms[name] for loss, share in zip(losses, shares, strict=True)]).sum()
        for name in losses[0].terms
    }
    logits = {name: torch.cat([loss.logits[name] for loss in losses]) for name in losses[0].logits}
    return Loss(terms, logits)


def without_graph(loss: Loss) -> Loss:
    """The same numbers, from which nothing can flow back."""
    terms, logits = ({k: v.detach() for k, v in found.items()} for found in (loss.terms, loss.logits))
    return Loss(terms, logits)


@contextlib.contextmanager
def settled(*networks: nn.Module) -> Iterator[None]:
    """Keep what layers learn from being asked, such as the vectors of spectral normalisation, for a while.

    It has moved with the first part of a batch, as it does with a whole one; the others see the same weights.
    """
    moving = [
        module
        for network in networks
        for holder in network.modules()
        if isinstance(holder, ParametrizationList)
        for module in holder
        if module.training
    ]
    for module in moving:
        module.training = False
    try:
        yield
    finally:
        for module in moving:
            module.training = True
