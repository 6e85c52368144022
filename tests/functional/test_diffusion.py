"""The diffusion against what defines it: the differential equation, and products of normal densities."""

import math

import pytest
import torch

from gancli.functional.diffusion import continuous_schedule, diffused, posterior


def test_the_schedule_solves_the_variance_preserving_equation() -> None:
    """d alpha_bar / dt = -beta(t) alpha_bar with beta from 0.1 to 20, by small steps."""
    parts, value, found = 40_000, 1.0, [1.0]
    for part in range(parts):
        time = (part + 0.5) / parts
        value *= 1 - (0.1 + (20 - 0.1) * time) / parts
        if (part + 1) % (parts // 4) == 0:
            found.append(value)
    assert continuous_schedule(4) == pytest.approx(found, rel=5e-3)
    assert len(continuous_schedule(2)) == 3 and continuous_schedule(2)[1] == pytest.approx(found[2], rel=5e-3)


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_the_posterior_is_the_normalised_product_of_both_densities(step: int) -> None:
    """q(x_{t-1} | x_t, x_0) ~ q(x_t | x_{t-1}) q(x_{t-1} | x_0), summed over a fine grid."""
    kept = continuous_schedule(4)
    start, after = 0.7, -1.3
    before, alpha = kept[step - 1], kept[step] / kept[step - 1]
    mean, variance = posterior(*(torch.tensor(value).double() for value in (start, after, before, kept[step])))
    if step == 1:
        assert mean.item() == pytest.approx(start) and variance.item() == 0
        return
    grid = torch.linspace(-12, 12, 200_001).double()
    log = -((after - math.sqrt(alpha) * grid) ** 2) / (2 * (1 - alpha))
    log = log - (grid - math.sqrt(before) * start) ** 2 / (2 * (1 - before))
    weights = torch.softmax(log, 0)
    assert mean.item() == pytest.approx((weights * grid).sum().item(), abs=1e-6)
    assert variance.item() == pytest.approx((weights * (grid - mean) ** 2).sum().item(), abs=1e-6)


def test_two_diffusions_are_one_from_the_start() -> None:
    kept = continuous_schedule(4)
    noises = torch.randn(2, 200_000, generator=torch.Generator().manual_seed(0)).double()
    once = diffused(torch.full((200_000,), 0.5).double(), torch.tensor(kept[1]), noises[0])
    twice = diffused(once, torch.tensor(kept[2] / kept[1]), noises[1])
    assert twice.mean().item() == pytest.approx(0.5 * math.sqrt(kept[2]), abs=0.01)
    assert twice.var().item() == pytest.approx(1 - kept[2], abs=0.01)
