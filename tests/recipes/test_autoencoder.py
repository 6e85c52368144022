"""The first stage of latent diffusion: losses against plain autograd, stages, the fitted mixture, shared weights."""

import copy
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from sample_pictures import folder
from torch import Tensor, nn
from training_steps import make_step

from gancli import train
from gancli.errors import UsageError
from gancli.models.kl_autoencoder import Generator
from gancli.models.patch_discriminator import PatchDiscriminator
from gancli.recipes.autoencoder import KLAutoencoder
from gancli.recipes.autoencoder.mixture import fitted_mixture
from gancli.recipes.base import Batch, Spec
from gancli.steps.step import Step

SPEC = Spec(3, 16, 16)
SMALL: dict[str, Any] = {"width": 16, "channels": 4, "d_width": 4, "components": 2, "latent_dim": 9}


def fitted(**settings: Any) -> KLAutoencoder:
    return KLAutoencoder(**(SMALL | settings)).fitted(SPEC, 40, 80)


def made(**settings: Any) -> Step:
    """Three steps of the autoencoder alone, three with D, then those with a fixed encoder; batches of eight."""
    return make_step(fitted(alone_images=24.0, joint_images=24.0, **settings), spec=SPEC, batch_size=8)


def moving(step: Step, count: int) -> set[str]:
    """The parts of the networks that these steps change."""
    networks = {"g": step.state.g, "d": step.state.d, "ema": step.state.ema}
    before = copy.deepcopy({name: network.state_dict() for name, network in networks.items()})
    for _ in range(count):
        step()
    return {
        f"{name}.{'.'.join(key.split('.')[: 2 if 'autoencoder' in key else 1])}"
        for name, network in networks.items()
        for key, value in network.state_dict().items()
        if not torch.equal(value, before[name][key])
    }


G = {"g.autoencoder.encoder", "g.autoencoder.decoder", "g.log_variance"}
EMA = {name.replace("g.", "ema.", 1) for name in G}
PRIORS = {"g.prior", "ema.prior"}


def test_d_joins_late_and_the_encoder_is_kept_once_the_prior_is_fitted_for_good() -> None:
    step = made()
    assert moving(step, 3) == G | EMA
    assert moving(step, 1) == G | EMA | PRIORS | {"d.layers"}
    assert moving(step, 2) == G | EMA | {"d.layers"}
    assert moving(step, 1) >= PRIORS | {"g.autoencoder.encoder"}, "G takes the average over"
    assert moving(step, 2) == {"g.autoencoder.decoder", "ema.autoencoder.decoder", "d.layers"}
    ours, theirs = (
        network.get_submodule("autoencoder.encoder").state_dict() for network in (step.state.g, step.state.ema)
    )
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_samples_are_of_the_codes_of_training_pictures() -> None:
    step = made()
    for _ in range(7):
        step()
    g = cast(Generator, step.state.ema)
    with torch.no_grad():
        real = g.autoencoder.encoder(step.setup.real.images).flatten(1)  # type: ignore[attr-defined]
        drawn = g.prior(torch.randn(4000, 9, generator=torch.Generator().manual_seed(0))).flatten(1)
    assert torch.allclose(drawn.mean(0), real.mean(0), atol=0.1)
    assert drawn.var(0).sum() == pytest.approx(_share_of_first_axes(real, 8), rel=0.1)


def _share_of_first_axes(values: Tensor, count: int) -> float:
    return torch.linalg.svdvals(values - values.mean(0)).square()[:count].sum().item() / len(values)


def test_a_state_saved_anywhere_goes_on_bit_for_bit() -> None:
    for saved_at in (2, 3, 5, 6, 7):
        step, other = made(), made()
        for _ in range(saved_at):
            step()
        other.state.load_state_dict(copy.deepcopy(step.state.state_dict()))
        for _ in range(8 - saved_at):
            step(), other()
        for network in ("g", "d", "ema"):
            ours, theirs = (getattr(each.state, network).state_dict() for each in (step, other))
            assert all(torch.equal(ours[name], theirs[name]) for name in ours), (saved_at, network)


def reference_loss(recipe: KLAutoencoder, g: Any, d: Any, images: Tensor, seed: int) -> Tensor:
    """G's whole loss by plain autograd, from eq. 6 and 7 of 2012.09841 and the KL divergence of 1312.6114."""
    torch.manual_seed(seed)
    mean, log_variance = g.encode(images)
    again = g.autoencoder.decoder(mean + log_variance.exp().sqrt() * torch.randn_like(mean))
    rebuilding = (again - images).abs().mean() + recipe.perceptual * d.perception(again, images)
    adversarial = -d.patches(again).mean()
    last = g.autoencoder.decoder.details[-1].weight
    above, below = (torch.autograd.grad(each, last, retain_graph=True)[0] for each in (rebuilding, adversarial))
    weight = above.norm() / (below.norm() + 1e-6)
    divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum() / images.numel()
    return rebuilding + recipe.adversarial * weight.detach() * adversarial + recipe.kl * divergence


def test_gs_loss_and_its_gradients_are_those_of_the_paper() -> None:
    recipe = fitted(kl=0.7)
    torch.manual_seed(0)
    g, d = (network.double() for network in recipe.networks(SPEC))
    images = torch.rand(4, 3, 16, 16, dtype=torch.float64) * 2 - 1
    torch.manual_seed(5)
    fake = recipe.generated(g, Batch(images), torch.zeros(4, 9), None)
    loss = recipe.g_loss(g, d, Batch(images), fake, recipe.schedule(10**6))
    assert set(loss.terms) == {"l1", "perceptual", "adv", "kl"}
    total, expected = torch.stack([*loss.terms.values()]).sum(), reference_loss(recipe, g, d, images, 5)
    assert total.item() == pytest.approx(expected.item(), rel=1e-9)
    weights = [*g.parameters()]
    pairs = (torch.autograd.grad(each, weights) for each in (total, expected))
    for ours, theirs in zip(*pairs, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-12)


def test_ds_loss_is_the_hinge_of_all_patches() -> None:
    recipe = fitted()
    _, d = recipe.networks(SPEC)
    d.eval()
    real, fake = (Batch(torch.randn(2, 3, 16, 16)) for _ in range(2))
    loss = recipe.d_loss(nn.Identity(), d, real, fake, recipe.schedule(0))
    logits = [cast(Any, d).layers(each.images) for each in (real, fake)]
    assert logits[0].shape == (2, 1, 2, 2)
    expected = (1 - logits[0]).clamp_min(0).mean() + (1 + logits[1]).clamp_min(0).mean()
    assert loss.terms["adv"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_discriminator_is_that_of_the_paper_at_its_size() -> None:
    d = PatchDiscriminator((3, 256, 256), 64)
    assert sum(each.numel() for each in d.parameters()) == 2_765_633, "2.769 million with six input channels"
    assert d.patches(torch.zeros(1, 3, 256, 256)).shape == (1, 30 * 30)
    image = torch.zeros(1, 3, 256, 256, requires_grad=True)
    d.eval().layers(image)[0, 0, 15, 15].backward()
    assert image.grad is not None
    seen = image.grad[0].abs().sum(0).nonzero()
    assert (seen.amax(0) - seen.amin(0) + 1).tolist() == [70, 70]


def test_a_mixture_is_found_again_by_its_codes() -> None:
    """Two Gaussians in a plane of six dimensions, a third and two thirds of the codes."""
    drawn = torch.Generator().manual_seed(1)
    plane = torch.linalg.qr(torch.randn(6, 2, generator=drawn, dtype=torch.float64))[0]
    deviations, centres = torch.tensor([[0.5, 1.0], [1.0, 0.3]]).double(), torch.tensor([[-6.0, 0], [6, 1]]).double()
    member = torch.arange(3000) % 3 > 0
    places = centres[member.long()] + deviations[member.long()] * torch.randn(3000, 2, generator=drawn).double()
    codes = (places @ plane.T + 2).unsqueeze(1)
    found = fitted_mixture(codes, 2, 8)
    assert len(found.weights) == 2, "held-out codes do not ask for more"
    assert sorted(found.weights.tolist()) == pytest.approx([1 / 3, 2 / 3], abs=0.01)
    assert found.means[0, 0] < found.means[1, 0]
    middles = found.mean + found.means @ found.basis.T
    wanted = centres @ plane.T + 2
    assert min((middles - each).norm(dim=1).max().item() for each in (wanted, wanted.flip(0))) < 0.1
    again = fitted_mixture(codes, 2, 8)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(found, again, strict=True))


def test_one_gaussian_is_enough_for_one_and_few_codes_have_no_more() -> None:
    codes = torch.randn(400, 1, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert len(fitted_mixture(codes, 4, 8).weights) == 1
    few = fitted_mixture(codes[:3], 4, 8)
    assert len(few.weights) == 1 and all(each.isfinite().all() for each in few), "fewer codes than axes"


def test_stages_are_shares_of_images_and_of_time() -> None:
    recipe = KLAutoencoder().fitted(Spec(3, 64, 64), 3000, 100_000)
    assert (recipe.alone_images, recipe.joint_images) == (50_000, 40_000)
    assert [recipe.stage(seen).without_d for seen in (0, 49_999, 50_000)] == [True, True, False]
    assert recipe.schedule(0).g_lr == 1e-3
    assert recipe.schedule(50_000).g_lr == recipe.schedule(99_999).g_lr == pytest.approx(2e-4)
    lasting, steps = KLAutoencoder().lasting(100.0, [0.1, 0.2, 0.1], 32)
    assert (lasting.alone_images, lasting.joint_images, steps) == (500 * 32, 200 * 32, 800)
    assert KLAutoencoder(alone_images=320.0).lasting(101.0, [0.1, 0.2, 0.1], 32)[0].joint_images == 400 * 32


def test_pictures_too_small_for_patches_are_refused() -> None:
    with pytest.raises(ValueError, match="6 pixels"):
        KLAutoencoder().fitted(Spec(3, 5, 9), 100, 1000)


def test_a_gan_trains_in_its_latents(tmp_path: Path) -> None:
    folder(tmp_path / "pictures", 40)
    data: dict[str, Any] = {"data": str(tmp_path / "pictures"), "image_size": "16", "batch_size": 8, "threads": 1}
    data |= {"progress": "none", "eval_every": 0}
    first = train(**data, recipe="autoencoder", steps=3, hyperparameters=SMALL, out=str(tmp_path / "a"))
    asked: dict[str, Any] = {"autoencoder": first.run, "out": str(tmp_path / "b"), "steps": 2}
    chosen = {"network_width": 8, "adversarial": 0.0}
    second = train(**data, **asked, recipe="latent", hyperparameters=chosen)
    before, after = (torch.load(each.generator, weights_only=True)["weights"] for each in (first, second))
    shared = [name for name in before if name.startswith("autoencoder.")]
    assert shared and all(torch.equal(before[name], after[name]) for name in shared)
    with pytest.raises(UsageError, match=r"train in its latents \(latent\), not autoencoder"):
        train(**data, **asked, recipe="autoencoder")
    with pytest.raises(UsageError, match="chooses among generated images"):
        train(**data, recipe="autoencoder", steps=1, top_k=0.5, out=str(tmp_path / "c"))
