"""One pass through D for both networks against the plain step, which takes three."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training_steps import make_step, tensors

from gancli.functional import layerwise, losses
from gancli.recipes.base import Recipe, Spec
from gancli.recipes.dcgan import DCGAN
from gancli.recipes.dragan import DRAGAN
from gancli.recipes.r3gan import R3GAN
from gancli.recipes.vanilla import Vanilla
from gancli.recipes.wgan_gp import WGANGP
from gancli.steps import updates
from gancli.steps.step import Step

PICTURES, WIDE, POINTS = Spec(1, 8, 8), Spec(3, 9, 12), Spec(2, 1, 1, 0, 1.0)


@dataclass(frozen=True)
class AtOnce(DRAGAN):
    """Convolutions, another loss, and a limit on D's weights; both networks at once."""

    simultaneous = True

    def d_adversarial(self, real: Tensor, fake: Tensor) -> Tensor:
        return losses.hinge_d(real, fake)

    def g_adversarial(self, fake: Tensor) -> Tensor:
        return losses.least_squares_g(fake)

    @torch.no_grad()
    def constrain(self, d: nn.Module) -> None:
        for parameter in d.parameters():
            parameter.clamp_(-0.03, 0.03)


@dataclass(frozen=True)
class Normalised(WGANGP):
    """Group normalisation, whose gain and bias belong to no linear layer."""

    simultaneous = True
    d_steps: int = 1


@dataclass(frozen=True)
class Dropping(AtOnce):
    """What D drops differs between two passes."""

    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        g, d = super().networks(spec)
        d.layers.append(nn.Dropout(0.5))  # type: ignore[operator, union-attr]
        return g, d


@dataclass(frozen=True)
class OwnLoss(AtOnce):
    """A loss that is no function of the logits alone."""

    def g_loss(self, *arguments: Any) -> Any:
        return super().g_loss(*arguments)


CASES: dict[str, tuple[Recipe, Spec, dict[str, Any]]] = {
    "vanilla": (Vanilla(), PICTURES, {}),
    "minimax": (Vanilla(objective="minimax"), WIDE, {}),
    "r1": (Vanilla(r1_gamma=0.3), PICTURES, {}),
    "points": (Vanilla(latent_dim=2), POINTS, {}),
    "convolutions": (AtOnce(width=4, penalty=0.1), WIDE, {}),
    "normalised": (Normalised(width=4, penalty=0.1), PICTURES, {}),
    "augmented": (AtOnce(width=4, penalty=0.0), PICTURES, {"augmentation": "ada"}),
}


def both(recipe: Recipe, spec: Spec, dtype: torch.dtype, precision: str = "fp32", **options: Any) -> tuple[Step, Step]:
    plain = make_step(recipe, precision, dtype, spec, plain=True, **options)
    fast = make_step(recipe, precision, dtype, spec, **options)
    assert (plain.way, fast.way) == ("plain", "one pass of D for both networks")
    return plain, fast


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize(("recipe", "spec", "options"), CASES.values(), ids=CASES)
def test_several_steps_are_the_plain_ones(
    recipe: Recipe, spec: Spec, options: dict[str, Any], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, fast = both(recipe, spec, dtype, **options)
    tolerance = 1e-9 if dtype == torch.float64 else 1e-4
    for _ in range(6):
        expected = plain()
        with monkeypatch.context() as context:
            context.setattr(updates, "step_both", None)
            found = fast()
        assert expected.keys() == found.keys()
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=tolerance, atol=tolerance)
    if dtype == torch.float64:  # in float32 Adam makes a whole step of a gradient that is nothing but rounding
        for network in ("g", "d", "ema"):
            pairs = zip(tensors(getattr(fast.state, network)), tensors(getattr(plain.state, network)), strict=True)
            assert all((ours - theirs).abs().max() <= tolerance for ours, theirs in pairs)
    assert torch.equal(plain.state.feedback, fast.state.feedback)
    assert all(p.grad.stride() == p.stride() for p in fast.state.d.parameters() if p.grad is not None)


def test_a_fake_that_d_is_sure_of_still_moves_g() -> None:
    """Where D wins, sigmoid(D(G(z))) vanishes, and with it D's own derivative, but not G's."""
    plain, fast = both(Vanilla(), PICTURES, torch.float64)
    for step in (plain, fast):
        with torch.no_grad():
            step.state.d.layers[-1].bias.fill_(-800.0)  # type: ignore[index, union-attr]
        step()
    gradients = [[p.grad for p in step.state.g.parameters()] for step in (plain, fast)]
    for expected, found in zip(*gradients, strict=True):
        assert expected is not None and found is not None and expected.abs().max() > 0
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-15)


def test_bf16_stays_near_the_plain_bf16() -> None:
    plain, fast = both(Vanilla(r1_gamma=0.1), PICTURES, torch.float32, "bf16")
    for _ in range(4):
        expected, found = plain(), fast()
    for name, value in expected.items():
        assert found[name].dtype == torch.float32
        torch.testing.assert_close(found[name], value, rtol=0.03, atol=0.03)


@pytest.mark.parametrize(
    ("recipe", "precision"),
    [
        (DCGAN(width=4), "fp32"),
        (R3GAN().fitted(PICTURES, 100, 100), "fp32"),
        (Dropping(width=4), "fp32"),
        (OwnLoss(width=4), "fp32"),
        (Vanilla(), "fp16"),
    ],
    ids=["mixes samples", "alternates", "drops", "own loss", "fp16"],
)
def test_what_it_does_not_suit_takes_the_plain_way(recipe: Recipe, precision: str) -> None:
    assert make_step(recipe, precision).way == "plain"


class Amplified(nn.Module):
    """A discriminator times a weight that no layer holds."""

    def __init__(self, d: nn.Module) -> None:
        super().__init__()
        self.d, self.gains = d, nn.ParameterList([torch.tensor(2.0)])

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.gains[0] * self.d(images)


@dataclass(frozen=True)
class Unknown(AtOnce):
    """DRAGAN whose D has such a weight."""

    def networks(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        g, d = super().networks(spec)
        return g, Amplified(d)


@pytest.mark.parametrize(
    ("recipe", "options"),
    [(Unknown(width=4, penalty=0.0), {}), (Vanilla(), {"best_share": lambda seen: 0.5})],
    ids=["a weight in no layer", "top-k"],
)
def test_steps_that_it_cannot_do_are_the_plain_ones_bit_for_bit(
    recipe: Recipe, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = both(recipe, PICTURES, torch.float32, **options)
    monkeypatch.setattr(layerwise, "weight_gradients", None)
    for step in steps:
        for _ in range(3):
            step()
    for network in ("g", "d"):
        pairs = zip(*(tensors(getattr(step.state, network)) for step in steps), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
