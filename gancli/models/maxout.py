"""Maxout layers (Goodfellow 2013, arXiv:1302.4389)."""

from torch import Tensor, nn


class Maxout(nn.Module):
    """The largest of ``pieces`` linear maps, for each of ``units`` outputs."""

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        self.units, self.pieces = units, pieces
        self.linear = nn.Linear(inputs, units * pieces)

    def forward(self, values: Tensor) -> Tensor:
        """``(N, inputs)`` -> ``(N, units)``."""
        return self.linear(values).unflatten(1, (self.units, self.pieces)).amax(2)
