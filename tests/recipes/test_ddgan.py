"""The denoising diffusion GAN: its chain, its losses, and the latent that holds all noise."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus
from training_steps import make_step

from gancli.cli import run
from gancli.recipes.base import Batch, Spec
from gancli.recipes.ddgan import DDGAN

SPEC = Spec(1, 8, 8, 4)


def made(**hyperparameters: Any) -> tuple[DDGAN, Any, Any]:
    recipe = DDGAN(width=4, d_width=4, **hyperparameters).fitted(SPEC, 1000, 10_000)
    torch.manual_seed(0)
    g, d = (network.double() for network in recipe.networks(SPEC))
    with torch.no_grad():  # some layers begin at zero
        for parameter in [*g.parameters(), *d.parameters()]:
            parameter += 0.1 * torch.randn_like(parameter)
    return recipe, g, d


def alpha_bar(step: int, steps: int) -> float:
    return math.exp(-0.1 * step / steps - 0.5 * 19.9 * (step / steps) ** 2)


@pytest.mark.parametrize("steps", [2, 4])
def test_a_latent_is_all_noise_of_the_chain(steps: int) -> None:
    recipe, g, _ = made(diffusion_steps=steps, latent_dim=3)
    latents = torch.randn(2, recipe.latent_values(SPEC)).double()
    x, place = latents[:, :64].view(2, 1, 8, 8), 64
    for t in range(steps, 0, -1):
        z, place = latents[:, place : place + 3], place + 3
        start = g.denoise(x, z, torch.tensor([t, t]))
        after, before = alpha_bar(t, steps), alpha_bar(t - 1, steps)
        beta = 1 - after / before
        x = (math.sqrt(before) * beta * start + math.sqrt(after / before) * (1 - before) * x) / (1 - after)
        if t > 1:
            noise, place = latents[:, place : place + 64].view(2, 1, 8, 8), place + 64
            x = x + math.sqrt((1 - before) / (1 - after) * beta) * noise
    torch.testing.assert_close(g(latents), x, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(g(latents[1:]), x[1:], rtol=1e-5, atol=1e-5)
    assert place == latents.shape[1]


def test_losses_are_those_of_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, g, d = made(gamma=3.0, conditional=True)
    real = Batch(torch.rand(8, 1, 8, 8).double() * 2 - 1, torch.arange(8) % 4)
    z = torch.randn(8, recipe.latent_values(SPEC)).double()
    fake, seen = Batch(z[:, :0], None, z), list[tuple[Tensor, Tensor, Tensor, Tensor]]()
    d.pairs.register_forward_hook(lambda _, given, answer: seen.append(given))
    loss = recipe.d_loss(g, d, real, fake, recipe.schedule(0))
    (before, after, steps, labels), (drawn, after_too, _, _) = seen
    assert torch.equal(after, after_too) and torch.equal(labels, real.labels)
    assert set(steps.tolist()) <= {1, 2, 3, 4}
    assert torch.equal(before[steps == 1].detach(), real.images[steps == 1]), "x_0 is the picture itself"
    points = before.detach().requires_grad_()
    logits = d.pairs(points, after, steps, labels)
    (gradient,) = torch.autograd.grad(logits.sum(), points)
    expected = softplus(-logits).mean() + softplus(d.pairs(drawn, after, steps, labels)).mean()
    torch.testing.assert_close(loss.terms["adv"], expected)
    torch.testing.assert_close(loss.terms["r1"], 1.5 * gradient.square().sum((1, 2, 3)).mean())
    seen.clear()
    adversarial = recipe.g_loss(g, d, real, fake, recipe.schedule(0)).terms["adv"]
    torch.testing.assert_close(adversarial, softplus(-d.pairs(*seen[0])).mean())


def test_training_never_walks_the_whole_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    step = make_step(DDGAN(width=4, d_width=4).fitted(SPEC, 40, 200))
    monkeypatch.setattr(step.state.g, "forward", None)
    before = step.state.g.denoise.end.weight.clone()
    assert set(step()) == {"d/adv", "d/r1", "d/logit_real", "d/logit_fake", "g/adv"}
    assert not torch.equal(before, step.state.g.denoise.end.weight)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--top-k", "0.5"], "--top-k chooses among generated images"),
        (["--augment", "diffusion"], "makes no sense for recipe ddgan"),
    ],
)
def test_what_makes_no_sense_for_a_chain_is_refused(
    flags: list[str], message: str, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", "--recipe", "ddgan", *flags, "--out", str(tmp_path / "runs"), "-q"]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
