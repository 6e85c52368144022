"""Reconstruct images, for recipes whose generator has an encoder."""

from collections.abc import Callable

import torch
from torch import Tensor

from gancli import recipes
from gancli.errors import UsageError
from gancli.functional.pixels import to_pixels
from gancli.sampling import rendering
from gancli.sampling.drawing import batch_size_for
from gancli.sampling.generator import LoadedGenerator


def reconstruct(generator: LoadedGenerator, images: Tensor) -> Tensor:
    """uint8 ``(N, C, H, W)`` -> uint8 of the same shape; UsageError if the generator has no encoder."""
    recipe = generator.file.origin.recipe
    if not recipes.find(recipe).reconstructs:
        able = ", ".join(name for name in recipes.names() if recipes.find(name).reconstructs)
        raise UsageError(f"--ckpt: recipe {recipe} has no encoder to reconstruct with; these do: {able}.")
    device = next(generator.network.parameters()).device
    rebuild: Callable[[Tensor], Tensor] = generator.network.reconstruct  # type: ignore[assignment]
    with torch.inference_mode():
        return torch.cat([
            to_pixels(rebuild(part.to(device).float() / 127.5 - 1)).cpu()
            for part in images.split(batch_size_for(*images.shape[2:]))
        ])  # fmt: skip


def beside(images: Tensor, rebuilt: Tensor, columns: int = 16) -> Tensor:
    """One uint8 sheet: each row of images above the row of their reconstructions."""
    columns = min(columns, len(images))
    blank = torch.full_like(images[:1], 128).expand(-len(images) % columns, -1, -1, -1)
    above, below = (torch.cat([part, blank]).unflatten(0, (-1, columns)) for part in (images, rebuilt))
    return rendering.grid(torch.stack([above, below], 1).flatten(0, 2), columns)
