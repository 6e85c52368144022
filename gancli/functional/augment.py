"""Differentiable augmentation of D's inputs, so that D cannot memorise a small data set.

All augmentations map images, float ``(N, C, H, W)`` in [-1, 1], and random numbers ``uniform``, ``(N, numbers)`` in
[0, 1), to images of the same shape. Image i depends on row i alone. The caller draws the numbers and can repeat them.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial, reduce

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from gancli.functional.diffusion import diffused

DIFFAUG_NUMBERS = 7
"""Random numbers per image for `diffaug`."""
ADA_NUMBERS = 28
"""Random numbers per image for `ada`."""
DIFFUSION_NUMBERS = 2
"""Random numbers per image for `diffusion`, beside one for each value of the image."""
MIN_TIMESTEPS, MAX_TIMESTEPS = 10, 1000
"""Number of timesteps T of `diffusion` at p = 0 and at p = 1."""
MIN_BETA, MAX_BETA = 1e-4, 2e-2
"""Variances of the first and of the last timestep's noise."""
DIFFUSION_NOISE = 0.05
"""Standard deviation of the noise of `diffusion`, for images in [-1, 1]."""
SHIFT, HOLE = 0.125, 0.5
"""As shares of a side: the largest shift by whole pixels, and the hole of DiffAugment."""


def diffaug(images: Tensor, uniform: Tensor) -> Tensor:
    """DiffAugment's policy "color, translation, cutout": Zhao 2020 (arXiv:2006.10738), section 4 and the authors' code.

    Brightness changes by up to 0.5, saturation by a factor in [0, 2), contrast by a factor in [0.5, 1.5). Alpha does
    not change. Pixels from outside the image and in the hole are 0, middle grey.

    Example:
        >>> images, uniform = torch.ones(1, 3, 4, 4), torch.full((1, DIFFAUG_NUMBERS), 0.5)
        >>> diffaug(images, uniform)[0, 0].sum().item()  # nothing changes except a hole of 2x2 pixels
        12.0
    """
    brightness, saturation, contrast = (column.view(-1, 1, 1, 1) for column in uniform[:, :3].unbind(1))
    colours, alpha = images[:, :3], images[:, 3:]
    colours = colours + (brightness - 0.5)
    grey = colours.mean(1, keepdim=True)
    colours = (colours - grey) * (2 * saturation) + grey
    mean = colours.mean((1, 2, 3), keepdim=True)
    colours = (colours - mean) * (contrast + 0.5) + mean
    return _cut(_moved(torch.cat([colours, alpha], 1), uniform[:, 3:5]), uniform[:, 5:7])


def ada(images: Tensor, uniform: Tensor, p: Tensor) -> Tensor:
    """The pipeline "bgc" of Karras 2020 (arXiv:2006.06676), appendix B: pixel blitting, geometry and colour.

    Each transformation is applied to an image with the probability ``p``, a scalar. Grey images have no hue or
    saturation to change.

    Differs from the paper: all geometry is one bilinear resampling with reflected borders, in place of its wavelet
    filter.

    Example:
        >>> images, uniform = torch.rand(2, 3, 8, 8), torch.rand(2, ADA_NUMBERS)
        >>> torch.allclose(ada(images, uniform, torch.zeros(())), images, atol=1e-5)  # p = 0 changes nothing
        True
    """
    dice = _Dice(uniform, p)
    geometry = reduce(torch.matmul, _geometry(dice, images.shape[2], images.shape[3]))
    grid = affine_grid(geometry[:, :2].to(images), list(images.shape), align_corners=False)
    return _recoloured(resampled(images, grid), dice)


def diffusion(images: Tensor, uniform: Tensor, p: Tensor, priority: bool = True) -> tuple[Tensor, Tensor]:
    """Diffuse images to random timesteps t: Wang 2022 (arXiv:2206.02262), section 3; returns also t / MAX_TIMESTEPS.

    Half of the images keep t = 0. The others draw t from 1 to T, with probability proportional to t (``priority``) or
    uniformly. T grows with ``p``, a scalar; the noise's variance beta rises linearly over the T timesteps.

    Differs from the authors' code:
    - Each image draws its own t, not one of a list of 64 that is drawn anew when T changes.
    - The probability is proportional to t, as in the paper; in the code it is to t - 1.

    Example:
        >>> images, uniform = torch.ones(2, 1, 4, 4), torch.full((2, DIFFUSION_NUMBERS + 16), 0.5)
        >>> uniform[0, 0] = 0.0  # the first image keeps t = 0
        >>> noisy, timesteps = diffusion(images, uniform, torch.zeros(()))
        >>> noisy[:, 0, 0, 0].mul(1000).round().tolist(), timesteps.mul(1000).round().tolist()
        ([1000.0, 977.0], [0.0, 7.0])
    """
    steps = (MIN_TIMESTEPS + p * (MAX_TIMESTEPS - MIN_TIMESTEPS)).round()
    places = uniform[:, 1]
    if priority:  # the sum of the first t weights is t (t + 1) / 2
        places = ((0.25 + places * steps * (steps + 1)).sqrt() - 0.5) / steps
    timesteps = torch.where(uniform[:, 0] < 0.5, 0.0, (places * steps).ceil().clamp(min=1).minimum(steps))
    kept = _kept(steps)[timesteps.long()].to(images).view(-1, 1, 1, 1)
    noise = DIFFUSION_NOISE * _normal(uniform[:, DIFFUSION_NUMBERS:]).to(images).view(images.shape)
    return diffused(images, kept, noise), timesteps / MAX_TIMESTEPS


def _kept(steps: Tensor) -> Tensor:
    """alpha_bar_t for t = 0 to `MAX_TIMESTEPS`, of a diffusion of so many ``steps``; beyond them it means nothing."""
    times = torch.arange(MAX_TIMESTEPS, device=steps.device, dtype=steps.dtype)
    betas = (MIN_BETA + (MAX_BETA - MIN_BETA) * times / (steps - 1)).clamp(max=MAX_BETA)
    return torch.cat([torch.ones_like(times[:1]), (1 - betas).cumprod(0)])


def resampled(images: Tensor, grid: Tensor) -> Tensor:
    """Images ``(N, C, H, W)`` sampled at a grid ``(N, h, w, 2)`` of coordinates in [-1, 1].

    Interpolation is bilinear, borders are reflected. The gradients of CUDA's `grid_sample` are not deterministic;
    `gathered` is taken where determinism is required.
    """
    if images.device.type != "cpu" and torch.are_deterministic_algorithms_enabled():
        return gathered(images, grid)
    return grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def gathered(images: Tensor, grid: Tensor) -> Tensor:
    """The same as `resampled` by four gathers of pixels, with deterministic gradients."""
    each = torch.arange(len(images), device=images.device)[:, None, None]
    columns, rows = (_neighbours(grid[..., axis], images.shape[3 - axis]) for axis in (0, 1))
    pixels, total = images.permute(0, 2, 3, 1), torch.zeros((), device=images.device)
    for row, in_height in rows:
        for column, in_width in columns:
            total = total + pixels[each, row, column] * (in_height * in_width)[..., None]
    return total.permute(0, 3, 1, 2)


def _neighbours(places: Tensor, side: int) -> list[tuple[Tensor, Tensor]]:
    """Both neighbouring pixels and their bilinear weights for coordinates along a side, reflected at the border."""
    folded = 1 - ((places + 1) / 2).remainder(2).sub(1).abs()
    pixel = (folded * side - 0.5).clamp(0, side - 1)
    low = pixel.floor()
    return [(low.long(), 1 - (pixel - low)), ((low + 1).clamp(max=side - 1).long(), pixel - low)]


class _Dice:
    """Hands out the columns of ``uniform``: one decides if a transformation happens, the next ones how."""

    def __init__(self, uniform: Tensor, p: Tensor) -> None:
        self.columns, self.p = iter(uniform.unbind(1)), p

    def choose(self, value: Callable[[Tensor], Tensor], neutral: float, p: Tensor | None = None) -> Tensor:
        """``value`` of a uniform number where the transformation happens, else ``neutral``: ``(N,)``.

        It happens with probability ``p``; None for the pipeline's.
        """
        return self.choose_both((value,), neutral, p)[0]

    def choose_both(
        self, values: Sequence[Callable[[Tensor], Tensor]], neutral: float, p: Tensor | None = None
    ) -> list[Tensor]:
        """`choose` for several values that change together, each from its own number."""
        happens = next(self.columns) < (self.p if p is None else p)
        numbers = [next(self.columns) for _ in values]
        return [
            torch.where(happens, value(number), torch.full_like(number, neutral))
            for value, number in zip(values, numbers, strict=True)
        ]


def _normal(uniform: Tensor) -> Tensor:
    return math.sqrt(2) * torch.erfinv((2 * uniform - 1).clamp(-0.999999, 0.999999))


def _geometry(dice: _Dice, height: int, width: int) -> list[Tensor]:
    """Matrices 3 x 3 from output to input coordinates in [-1, 1]; the first shift is by whole pixels."""
    aspect = width / height
    flip = dice.choose(lambda u: torch.where(u < 0.5, -1.0, 1.0), 1.0)
    quarter = dice.choose(lambda u: (4 * u).floor() * (math.pi / 2), 0.0)
    shift_x, shift_y = dice.choose_both([partial(_whole_shift, side=side) for side in (width, height)], 0.0)
    scale = dice.choose(lambda u: torch.exp2(0.2 * _normal(u)), 1.0)
    rotated = 1 - torch.sqrt(1 - dice.p)  # either of two rotations happens with the probability p
    before = dice.choose(lambda u: (2 * u - 1) * math.pi, 0.0, rotated)
    stretch = dice.choose(lambda u: torch.exp2(0.2 * _normal(u)), 1.0)
    after = dice.choose(lambda u: (2 * u - 1) * math.pi, 0.0, rotated)
    drift_x, drift_y = dice.choose_both([lambda u: 2 * SHIFT * _normal(u)] * 2, 0.0)
    one = torch.ones_like(flip)
    return [
        _scaled(flip, one),
        _rotated(quarter, aspect),
        _shifted(shift_x, shift_y),
        _scaled(1 / scale, 1 / scale),
        _rotated(before, aspect),
        _scaled(1 / stretch, stretch),
        _rotated(after, aspect),
        _shifted(drift_x, drift_y),
    ]


def _whole_shift(uniform: Tensor, side: int) -> Tensor:
    """A shift by whole pixels, up to `SHIFT` of the side, in coordinates in which a side has length 2."""
    return ((2 * uniform - 1) * SHIFT * side).round() * (2 / side)


def _matrix(rows: list[list[Tensor]]) -> Tensor:
    return torch.stack([torch.stack(row, 1) for row in rows], 1)


def _scaled(x: Tensor, y: Tensor) -> Tensor:
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _matrix([[x, zero, zero], [zero, y, zero], [zero, zero, one]])


def _shifted(x: Tensor, y: Tensor) -> Tensor:
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _matrix([[one, zero, x], [zero, one, y], [zero, zero, one]])


def _rotated(angle: Tensor, aspect: float) -> Tensor:
    """Rotation of the picture, in coordinates in [-1, 1] along both sides."""
    zero, one, c, s = torch.zeros_like(angle), torch.ones_like(angle), angle.cos(), angle.sin()
    return _matrix([[c, -s / aspect, zero], [s * aspect, c, zero], [zero, zero, one]])


def _recoloured(images: Tensor, dice: _Dice) -> Tensor:
    """Change brightness, contrast and luma flip of any image, hue and saturation of RGB."""
    brightness, contrast = (
        dice.choose(lambda u: 0.2 * _normal(u), 0.0),
        dice.choose(lambda u: torch.exp2(0.5 * _normal(u)), 1.0),
    )
    luma = dice.choose(lambda u: torch.where(u < 0.5, 1.0, 0.0), 0.0)
    hue = dice.choose(lambda u: (2 * u - 1) * math.pi, 0.0)
    saturation = dice.choose(lambda u: torch.exp2(_normal(u)), 1.0)
    colours, alpha = images[:, :3], images[:, 3:]
    colours = (colours + brightness.view(-1, 1, 1, 1)) * contrast.view(-1, 1, 1, 1)
    if images.shape[1] < 3:
        return colours * (1 - 2 * luma).view(-1, 1, 1, 1)
    turned = _colour_matrix(luma, hue, saturation).to(colours)
    return torch.cat([torch.einsum("nij,njhw->nihw", turned, colours), alpha], 1)


def _colour_matrix(luma: Tensor, hue: Tensor, saturation: Tensor) -> Tensor:
    """``(N, 3, 3)``: mirror the grey axis where ``luma`` is 1, rotate about it by ``hue``, scale the distance to it."""
    unit = torch.eye(3, device=hue.device, dtype=hue.dtype)  # made on the device: a copy from the host would wait
    along, cross = torch.full_like(unit, 1 / 3), (unit.roll(2, 1) - unit.roll(1, 1)) / math.sqrt(3)
    luma, hue, saturation = (value.view(-1, 1, 1) for value in (luma, hue, saturation))
    turn = hue.cos() * unit + hue.sin() * cross + (1 - hue.cos()) * along
    return (along + (unit - along) * saturation) @ turn @ (unit - 2 * along * luma)


def _moved(images: Tensor, uniform: Tensor) -> Tensor:
    """Shift each image by whole pixels, up to `SHIFT` of its sides, uniformly."""
    count, _, height, width = images.shape
    most = [_rounded(side * SHIFT) for side in (height, width)]
    rows, columns = (
        torch.arange(side, device=images.device) + (uniform[:, i : i + 1] * (2 * most[i] + 1)).floor().long() - most[i]
        for i, side in enumerate((height, width))
    )
    inside = ((rows >= 0) & (rows < height))[:, None, :, None] & ((columns >= 0) & (columns < width))[:, None, None, :]
    each = torch.arange(count, device=images.device)[:, None, None]
    gathered = images.permute(0, 2, 3, 1)[
        each, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None, :]
    ].permute(0, 3, 1, 2)
    return gathered * inside


def _cut(images: Tensor, uniform: Tensor) -> Tensor:
    """Set a hole of `HOLE` of the sides to 0; its centre is uniform over the image."""
    inside = []
    for i, side in enumerate(images.shape[2:]):
        hole = _rounded(side * HOLE)
        first = (uniform[:, i : i + 1] * (side + 1 - hole % 2)).floor() - hole // 2
        places = torch.arange(side, device=images.device)
        inside.append((places >= first) & (places < first + hole))
    rows, columns = inside
    return images * ~(rows[:, None, :, None] & columns[:, None, None, :])


def _rounded(length: float) -> int:
    """Whole pixels; a half is rounded up."""
    return math.floor(length + 0.5)
