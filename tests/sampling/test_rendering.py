"""Pixels and grids."""

import pytest
import torch
from torchvision.utils import make_grid

from gancli.functional import pixels
from gancli.sampling import rendering


def test_levels_are_rounded_and_clamped() -> None:
    floats = torch.tensor([-2.0, -1.0, 0.0, 1.0, 5.0, -1 + 1.4 / 127.5, -1 + 1.6 / 127.5])
    assert pixels.to_pixels(floats).tolist() == [0, 0, 128, 255, 255, 1, 2]


@pytest.mark.parametrize(("count", "channels", "side"), [(1, 3, 64), (5, 1, 8), (64, 3, 28), (10, 4, 70)])
def test_a_grid_is_torchvisions_of_enlarged_tiles(count: int, channels: int, side: int) -> None:
    images = torch.randint(0, 256, (count, channels, side, side), dtype=torch.uint8)
    factor = max(1, 64 // side)
    tiles = images.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    columns = next(n for n in range(1, 99) if n * n >= count)
    # torchvision needs no frame around a single image and cuts empty columns off
    expected = make_grid(torch.cat([tiles, tiles]), nrow=columns, padding=2, pad_value=128)
    found = rendering.grid(images)
    rows = -(-count // columns)
    first = expected[:channels, : 2 + (tiles.shape[2] + 2), : found.shape[2]]
    assert torch.equal(found[:, : first.shape[1]], first) or columns > count
    assert found.shape == (channels, 2 + rows * (tiles.shape[2] + 2), 2 + columns * (tiles.shape[3] + 2))
