"""Augmentations: what each number does to a picture, and that gradients flow back to where the pixels came from."""

import pytest
import torch
from torch import Tensor
from torchvision.transforms.functional import InterpolationMode, affine, hflip

from gancli.functional import augment

BILINEAR = InterpolationMode.BILINEAR
NORMAL_ONE = 0.8413447
"""The uniform number of which a normal one of 1 is made."""
HALF = 0.5
"""The number that leaves an image as it is, in every column of DiffAugment but the hole's."""


def neutral(count: int = 1) -> Tensor:
    return torch.full((count, augment.DIFFAUG_NUMBERS), HALF)


def without_hole(images: Tensor) -> Tensor:
    """DiffAugment's hole of a neutral row: the middle half of each side."""
    height, width = images.shape[2:]
    images = images.clone()
    top, left = height // 2 + (height % 2) - height // 4, width // 2 + (width % 2) - width // 4
    images[:, :, top : top + height // 2, left : left + width // 2] = 0
    return images


def test_diffaug_in_the_middle_only_cuts_the_hole() -> None:
    images = torch.rand(1, 3, 16, 16) * 2 - 1
    found = augment.diffaug(images, neutral())
    hole = found == 0
    assert hole.all(1).sum() == 64, "a quarter of the pixels"
    torch.testing.assert_close(found[~hole], images[~hole])


def test_diffaug_moves_by_whole_pixels() -> None:
    images = torch.rand(1, 1, 16, 16) + 1
    row = neutral()
    row[0, 3], row[0, 5] = 0.9, 0.0  # two rows down; the hole at the top
    found = augment.diffaug(images, row)[0, 0]
    shifted = images[0, 0].roll(-2, 0)
    shifted[-2:] = 0
    assert torch.allclose(found[4:], shifted[4:]), "rows come from two below, zeros fill the rest"


@pytest.mark.parametrize(("side", "most"), [(8, 1), (28, 4), (32, 4), (20, 3)])
def test_diffaug_moves_by_each_number_of_pixels_as_often(side: int, most: int) -> None:
    images = torch.zeros(2 * most + 1, 1, side, side)
    images[:, :, side // 2] = 1
    rows = neutral(2 * most + 1)
    rows[:, 3] = (torch.arange(2 * most + 1) + 0.5) / (2 * most + 1)
    rows[:, 6] = 0.0  # the hole at the left
    found = augment.diffaug(images, rows)[:, 0, :, -1].argmax(1)
    assert (side // 2 - found).tolist() == list(range(-most, most + 1))


@pytest.mark.parametrize("side", [10, 12])
def test_diffaug_cuts_holes_of_one_size_around_each_pixel_as_often(side: int) -> None:
    hole = side // 2
    places = side + 1 - hole % 2
    rows = neutral(places)
    rows[:, 5] = (torch.arange(places) + 0.5) / places
    found = (augment.diffaug(torch.ones(places, 1, side, side), rows) == 0)[:, 0].any(2)
    for place in range(places):
        first = place - hole // 2
        assert found[place].nonzero().flatten().tolist() == list(range(max(0, first), min(side, first + hole)))


def test_diffaug_of_a_row_touches_only_its_image() -> None:
    images, rows = torch.rand(5, 3, 8, 8), torch.rand(5, augment.DIFFAUG_NUMBERS)
    alone = torch.cat([augment.diffaug(images[i : i + 1], rows[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(augment.diffaug(images, rows), alone)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_ada_at_zero_changes_nothing(channels: int) -> None:
    images, rows = torch.rand(6, channels, 9, 12) * 2 - 1, torch.rand(6, augment.ADA_NUMBERS)
    torch.testing.assert_close(augment.ada(images, rows, torch.tensor(0.0)), images, atol=2e-5, rtol=0)


def test_ada_at_one_changes_every_image() -> None:
    images, rows = torch.rand(32, 3, 16, 16) * 2 - 1, torch.rand(32, augment.ADA_NUMBERS)
    found = augment.ada(images, rows, torch.tensor(1.0))
    assert ((found - images).abs().flatten(1).max(1).values > 1e-3).all()
    assert torch.isfinite(found).all()


TRANSFORMATIONS = {"flip": 1, "quarter": 1, "shift": 2, "scale": 1, "before": 1, "stretch": 1, "after": 1, "drift": 2,
                   "brightness": 1, "contrast": 1, "luma": 1, "hue": 1, "saturation": 1}  # fmt: skip
"""Of ADA, in their order, with how many numbers each takes after the one that says whether it happens."""


def only(name: str, *values: float) -> Tensor:
    """A row in which one transformation of ADA happens, with these numbers; 2 never happens."""
    numbers: list[float] = []
    for each, count in TRANSFORMATIONS.items():
        numbers += [0.0, *values] if each == name else [2.0] + [0.5] * count
    assert len(numbers) == augment.ADA_NUMBERS
    return torch.tensor([numbers])


def test_ada_flips_turns_and_shifts_as_torchvision_does() -> None:
    images, p = torch.rand(1, 3, 16, 16), torch.tensor(0.5)
    torch.testing.assert_close(augment.ada(images, only("flip", 0.2), p), hflip(images), atol=1e-5, rtol=0)
    turned = augment.ada(images, only("quarter", 0.3), p)
    matches = [torch.allclose(turned, torch.rot90(images, k, (2, 3)), atol=1e-4) for k in (1, 3)]
    assert any(matches)
    shifted = augment.ada(images, only("shift", 0.93, 0.35), p)  # 1.72 and -0.6 pixels, which are 2 and -1
    torch.testing.assert_close(shifted[..., 1:, :-2], images[..., :-1, 2:], atol=1e-4, rtol=0)
    drifted = augment.ada(images, only("drift", NORMAL_ONE, 1 - NORMAL_ONE), p)  # by 2 pixels and -2
    torch.testing.assert_close(drifted[..., 2:, :-2], images[..., :-2, 2:], atol=1e-4, rtol=0)


def test_ada_turns_wide_images_without_shearing_them() -> None:
    images = torch.zeros(1, 1, 32, 64)
    images[0, 0, 8:24, 28:36] = 1  # a bar in the middle keeps its shape
    found = augment.ada(images, only("stretch", 0.5), torch.tensor(0.99))
    torch.testing.assert_close(found, images, atol=1e-5, rtol=0)
    found = augment.ada(images, only("before", 0.5 + 30 / 360), torch.tensor(0.99))
    turned = [affine(images, angle, [0, 0], 1.0, [0.0, 0.0], interpolation=BILINEAR) for angle in (30, -30)]
    assert min((found - each).abs().mean().item() for each in turned) < 0.002
    assert (found - images).abs().mean().item() > 0.02


def test_ada_keeps_grey_grey_when_it_turns_hue_and_changes_saturation() -> None:
    grey = torch.rand(1, 1, 8, 8).expand(1, 3, 8, 8)
    for name in ("hue", "saturation"):
        torch.testing.assert_close(augment.ada(grey, only(name, 0.9), torch.tensor(0.5)), grey, atol=1e-5, rtol=0)
    colour = torch.rand(1, 3, 8, 8)
    assert not torch.allclose(augment.ada(colour, only("hue", 0.9), torch.tensor(0.5)), colour, atol=1e-2)
    flipped = augment.ada(grey, only("luma", 0.2), torch.tensor(0.5))
    torch.testing.assert_close(flipped, -grey, atol=1e-5, rtol=0)


def test_what_is_resampled_by_hand_is_what_grid_sample_gives() -> None:
    """Far outside, which is reflected many times, on borders and between pixels; and so are the gradients."""
    torch.manual_seed(0)
    images = torch.randn(3, 2, 5, 8, dtype=torch.float64)
    grid = torch.cat([6 * torch.rand(3, 7, 9, 2, dtype=torch.float64) - 3, torch.ones(3, 7, 1, 2).double()], 2)
    ways = [images.clone().requires_grad_() for _ in range(2)]
    expected, found = augment.resampled(ways[0], grid), augment.gathered(ways[1], grid)
    torch.testing.assert_close(found, expected)
    for answer in (expected, found):
        answer.square().sum().backward()
    torch.testing.assert_close(ways[1].grad, ways[0].grad)


def test_diffaug_changes_the_colours_of_all_but_alpha() -> None:
    images = torch.rand(2, 4, 16, 16) * 2 - 1
    images[:, 3] = 1
    uniform = torch.rand(2, augment.DIFFAUG_NUMBERS)
    uniform[:, 3:5] = HALF  # nothing is moved
    found = augment.diffaug(images, uniform)
    assert set(found[:, 3].unique().tolist()) == {0.0, 1.0}, "opaque, or cut out"
    torch.testing.assert_close(found[:, :3], augment.diffaug(images[:, :3], uniform))


@pytest.mark.parametrize("policy", ["diffaug", "ada"])
def test_gradients_reach_the_images(policy: str) -> None:
    images = torch.rand(4, 3, 8, 8, requires_grad=True)
    if policy == "diffaug":
        found = augment.diffaug(images, torch.rand(4, augment.DIFFAUG_NUMBERS))
    else:
        found = augment.ada(images, torch.rand(4, augment.ADA_NUMBERS), torch.tensor(0.7))
    (gradient,) = torch.autograd.grad(found.square().sum(), images)
    assert (gradient.flatten(1).abs().max(1).values > 0).all()


def schedule(steps: int) -> list[float]:
    """alpha_bar_t of Diffusion-GAN for t = 0 to ``steps``, in float64, factor by factor."""
    kept = [1.0]
    for step in range(steps):
        kept.append(kept[-1] * (1 - (1e-4 + (0.02 - 1e-4) * step / (steps - 1))))
    return kept


@pytest.mark.parametrize(("p", "steps"), [(0.0, 10), (0.1, 109), (1.0, 1000)])
def test_diffusion_draws_the_timesteps_and_the_noise_of_its_paper(p: float, steps: int) -> None:
    count = 20_000
    rows = torch.full((2 * count, augment.DIFFUSION_NUMBERS + 1), NORMAL_ONE)
    rows[:, 0] = torch.arange(2 * count) % 2 / 2  # every second image keeps t = 0
    rows[:, 1] = (torch.arange(2 * count) // 2 + 0.5) / count
    for priority in (True, False):
        images = torch.full((2 * count, 1, 1, 1), -0.8)
        found, timesteps = augment.diffusion(images, rows, torch.tensor(p), priority)
        times = (timesteps * augment.MAX_TIMESTEPS).round().long()
        assert not times[::2].any() and torch.equal(found[::2], images[::2])
        shares = times[1::2].bincount(minlength=steps + 1).double() / count
        weights = torch.arange(steps + 1).double() if priority else torch.tensor([0.0] + [1.0] * steps).double()
        torch.testing.assert_close(shares, weights / weights.sum(), atol=2 / count, rtol=0)
        kept = torch.tensor(schedule(steps)).double()[times]
        expected = kept.sqrt() * -0.8 + (1 - kept).sqrt() * 0.05  # the normal number is one
        torch.testing.assert_close(found.flatten().double(), expected, atol=1e-4, rtol=0)


def test_gradients_flow_through_diffusion_as_the_image_is_kept() -> None:
    images = torch.rand(2, 1, 2, 2).requires_grad_()
    rows = torch.full((2, augment.DIFFUSION_NUMBERS + 4), 0.999)
    found, _ = augment.diffusion(images, rows, torch.tensor(1.0))
    found.sum().backward()
    torch.testing.assert_close(images.grad, torch.full_like(images, schedule(1000)[-1] ** 0.5), rtol=0.05, atol=0)
