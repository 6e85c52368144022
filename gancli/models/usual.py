"""Default networks, for recipes whose papers are about the loss: DCGAN's for pictures, perceptrons for points."""

from torch import nn

from gancli.models import convolutional, points
from gancli.models.convolutional import Norm, Shape


def networks(
    shape: Shape, are_points: bool, latent_dim: int, width: int = 0, d_norm: Norm = "batch"
) -> tuple[nn.Module, nn.Module]:
    """G and D. ``width`` is the number of channels of the largest map, 0 for the default."""
    if are_points:
        return points.Generator(latent_dim, shape[0]), points.Discriminator(shape[0])
    width = width or convolutional.default_width(shape)
    return (
        convolutional.Generator(latent_dim, width, shape),
        convolutional.Discriminator(width, shape, d_norm),
    )
