"""The adaptive weight in closed form, and gradients that are handed over at the images."""

import pytest
import torch

from gancli.functional.balance import adaptive_weight, gradient, with_gradient


def test_the_weight_is_the_quotient_of_norms_and_bounded() -> None:
    above, below = torch.tensor([[3.0, 4.0]]).double(), torch.tensor([[0.0, -0.5]]).double()
    assert adaptive_weight(above, below).item() == pytest.approx(5 / (0.5 + 1e-6), rel=1e-12)
    assert adaptive_weight(above, 1e-9 * below).item() == 1e4, "D gives no gradient"
    assert adaptive_weight(0 * above, below).item() == 0
    assert not adaptive_weight(above.requires_grad_(), below).requires_grad, "a constant, as in the paper"


def test_a_loss_handed_over_at_the_images_has_the_same_gradients() -> None:
    weights, inputs = torch.randn(3, 3, dtype=torch.float64, requires_grad=True), torch.randn(2, 3).double()
    images = (inputs @ weights).tanh()
    leaf = images.detach().requires_grad_()
    loss = leaf.pow(3).mean()
    handed_over = with_gradient(loss, images, 7 * gradient(loss, leaf))
    assert handed_over.item() == loss.item()
    (ours,) = torch.autograd.grad(handed_over, weights, retain_graph=True)
    (expected,) = torch.autograd.grad(7 * images.pow(3).mean(), weights)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-15)
