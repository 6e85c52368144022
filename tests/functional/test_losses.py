"""Losses against their definitions, and their gradients against the derivative by hand."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.nn.functional import mse_loss

from gancli.functional import losses


def test_the_logistic_loss_is_minus_v() -> None:
    real, fake = torch.tensor([0.3, -2.0]), torch.tensor([1.0, -0.5, 4.0])
    d_real, d_fake = (1 / (1 + torch.exp(-logits.double())) for logits in (real, fake))
    v = 0.5 * d_real.log().mean() + 0.5 * (1 - d_fake).log().mean()
    assert losses.logistic_d(real, fake).item() == pytest.approx(-v.item(), rel=1e-6)


def test_a_discriminator_that_cannot_tell_has_loss_log_2() -> None:
    assert losses.logistic_d(torch.zeros(5), torch.zeros(7)).item() == pytest.approx(math.log(2))


def test_generator_losses_are_what_the_paper_says() -> None:
    fake = torch.tensor([0.7, -3.0, 2.0])
    d = torch.sigmoid(fake.double())
    assert losses.minimax_g(fake).item() == pytest.approx((1 - d).log().mean().item(), rel=1e-6)
    assert losses.non_saturating_g(fake).item() == pytest.approx(-d.log().mean().item(), rel=1e-6)


def test_minimax_saturates_where_the_discriminator_wins_and_the_other_does_not() -> None:
    logits = torch.tensor([-20.0], requires_grad=True)
    (saturating,) = torch.autograd.grad(losses.minimax_g(logits), logits)
    (strong,) = torch.autograd.grad(losses.non_saturating_g(logits), logits)
    assert saturating.item() == pytest.approx(-math.exp(-20), rel=1e-3)
    assert strong.item() == pytest.approx(-1, rel=1e-6)


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_huge_logits_stay_finite_and_low_precision_is_summed_in_float32(size: float) -> None:
    logits = torch.full((3,), size, dtype=torch.bfloat16)
    for value in (losses.logistic_d(logits, logits), losses.minimax_g(logits), losses.non_saturating_g(logits)):
        assert value.dtype == torch.float32
        assert torch.isfinite(value)


REAL, FAKE = torch.tensor([0.3, -2.0, 0.9]), torch.tensor([1.0, -0.5, 4.0])


def test_one_sided_smoothing_is_cross_entropy_against_the_lower_target_less_its_least() -> None:
    target = torch.full((3,), 0.9)
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    wanted = 0.5 * (bce(real, target) + bce(fake, torch.zeros(3)))
    found = losses.logistic_d(real, fake, real_target=0.9)
    for mine, theirs in zip(
        torch.autograd.grad(found, (real, fake)), torch.autograd.grad(wanted, (real, fake)), strict=True
    ):
        torch.testing.assert_close(mine, theirs)
    best = torch.distributions.utils.probs_to_logits(target, is_binary=True)
    assert losses.logistic_d(best, torch.full((3,), -40.0), real_target=0.9).item() == pytest.approx(0, abs=1e-6)
    assert losses.logistic_d(best + 0.1, torch.full((3,), -40.0), real_target=0.9) > 0


def test_least_squares_are_mean_squared_errors() -> None:
    d = 0.5 * (mse_loss(REAL, torch.full((3,), 1.0)) + mse_loss(FAKE, torch.full((3,), -1.0)))
    assert losses.least_squares_d(REAL, FAKE, a=-1.0, b=1.0).item() == pytest.approx(d.item())
    assert losses.least_squares_g(FAKE, c=0.5).item() == pytest.approx(0.5 * (0.25 + 1 + 12.25) / 3)


def test_wasserstein_and_hinge_by_hand() -> None:
    assert losses.wasserstein_d(REAL, FAKE).item() == pytest.approx(1.5 - (-0.8 / 3))
    assert losses.wasserstein_g(FAKE).item() == pytest.approx(-1.5)
    assert losses.hinge_d(REAL, FAKE).item() == pytest.approx((0.7 + 3.0 + 0.1) / 3 + (2.0 + 0.5 + 5.0) / 3)


def test_the_relativistic_loss_is_the_cross_entropy_of_pairs() -> None:
    ones = torch.ones(3)
    assert losses.relativistic_d(REAL, FAKE).item() == pytest.approx(bce(REAL - FAKE, ones).item(), rel=1e-6)
    assert losses.relativistic_g(REAL, FAKE).item() == pytest.approx(bce(FAKE - REAL, ones).item(), rel=1e-6)
    shifted = losses.relativistic_d(REAL + 100, FAKE + 100)
    assert shifted.item() == pytest.approx(losses.relativistic_d(REAL, FAKE).item(), rel=1e-5), "only gaps count"


@pytest.mark.parametrize(
    "loss",
    [
        losses.logistic_d, losses.least_squares_d, losses.wasserstein_d, losses.hinge_d, losses.relativistic_d,
        lambda real, fake: losses.minimax_g(fake), lambda real, fake: losses.non_saturating_g(fake),
        lambda real, fake: losses.least_squares_g(fake), losses.relativistic_g,
    ],
)  # fmt: skip
def test_gradients_are_those_of_numerical_differentiation(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    real, fake = (logits.clone().requires_grad_() for logits in (REAL, FAKE))
    loss(real, fake).backward()
    for logits in (real, fake):
        for place in range(3):
            step = torch.zeros(3).index_fill(0, torch.tensor(place), 1e-2)
            sides = [[logits.detach() + sign * step if each is logits else each.detach() for each in (real, fake)]
                     for sign in (1, -1)]  # fmt: skip
            slope = (loss(*sides[0]) - loss(*sides[1])).item() / 2e-2
            given = 0.0 if logits.grad is None else logits.grad[place].item()
            assert given == pytest.approx(slope, abs=2e-3)
