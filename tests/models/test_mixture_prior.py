"""The prior draws the mixture that it was given, from plain normal numbers, in torch and in ONNX."""

import io
import math
import warnings

import onnxruntime
import pytest
import torch

from gancli.models.mixture_prior import MixturePrior

SHAPE = (2, 1, 2)
WEIGHTS = torch.tensor([0.2, 0.5, 0.3]).double()


def prior() -> MixturePrior:
    """Three components in two dimensions, of four that it has room for, among codes of four values."""
    made = MixturePrior(3, SHAPE, 4).double()
    basis = torch.tensor([[1.0, 0], [0, 1], [0, 0], [0, 0]]).double()
    means = torch.tensor([[-9.0, 0], [0, 5], [9, 0]]).double()
    factors = torch.tensor([[[1.0, 0], [0, 1]], [[2, 0], [1, 1]], [[1, 0], [0, 3]]]).double()
    made.set(torch.tensor([0.0, 0, 0, 7]).double(), basis, WEIGHTS, means, factors)
    return made


def test_draws_have_the_weights_means_and_covariances_of_the_components() -> None:
    made, latents = prior(), torch.randn(40_000, 3, generator=torch.Generator().manual_seed(0)).double()
    component, codes = made.chosen(latents), made(latents).flatten(1)
    shares = torch.bincount(component, minlength=4).double() / len(latents)
    assert torch.allclose(shares, torch.tensor([0.2, 0.5, 0.3, 0.0]).double(), atol=0.01)
    inside = codes[component == 1]
    assert torch.allclose(inside.mean(0), torch.tensor([0.0, 5, 0, 7]).double(), atol=0.06)
    assert torch.allclose(inside[:, :2].T.cov(), torch.tensor([[4.0, 2], [2, 2]]).double(), atol=0.15)
    assert (codes[:, 2] == 0).all() and (codes[:, 3] == 7).all(), "nothing beside the axes but the mean"


def test_the_first_number_alone_chooses_and_the_bounds_are_the_normal_quantiles() -> None:
    made, normal = prior(), torch.distributions.Normal(0.0, 1.0)
    for share, (below, above) in ((0.2, (0, 1)), (0.7, (1, 2))):
        border = normal.icdf(torch.tensor(share)).item()
        assert made.chosen(torch.tensor([[border - 1e-3, 9.0, 9], [border + 1e-3, -9, 9]])).tolist() == [below, above]
    assert made.float().chosen(torch.tensor([[-40.0, 0, 0], [40.0, 0, 0]])).tolist() == [0, 2], "none that it lacks"


def test_before_it_is_fitted_codes_have_unit_variance() -> None:
    torch.manual_seed(0)
    made = MixturePrior(33, (4, 4, 4), 8)
    codes = made(torch.randn(2000, 33))
    assert codes.shape == (2000, 4, 4, 4)
    assert codes.var().item() == pytest.approx(1, abs=0.1) and abs(codes.mean().item()) < 0.05


def test_a_smaller_mixture_leaves_nothing_of_an_earlier_one() -> None:
    made = prior()
    made.set(*(torch.zeros(4), torch.eye(4)[:, :1], torch.ones(1), torch.zeros(1, 1), torch.full((1, 1, 1), 3.0)))
    latents = torch.tensor([[math.pi, 2.0, 5.0]]).double()
    assert made(latents).flatten().tolist() == [6, 0, 0, 0]


def test_onnxruntime_draws_the_same() -> None:
    made, latents, written = prior().float(), torch.randn(50, 3), io.BytesIO()
    with warnings.catch_warnings(action="ignore"):
        torch.onnx.export(
            made, (latents[:2],), written, dynamo=False, opset_version=17, input_names=["z"],
            dynamic_axes={"z": {0: "N"}},
        )  # fmt: skip
    session = onnxruntime.InferenceSession(written.getvalue(), providers=["CPUExecutionProvider"])
    drawn = torch.from_numpy(session.run(None, {"z": latents.numpy()})[0])
    torch.testing.assert_close(drawn, made(latents), rtol=1e-5, atol=1e-5)
