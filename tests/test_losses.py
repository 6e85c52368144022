"""Losses against their definitions, and their gradients against the derivative by hand."""

import math

import pytest
import torch

from gancli import losses


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
