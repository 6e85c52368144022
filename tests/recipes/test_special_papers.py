"""Recipes with layers, states or steps of their own, against what their papers define."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.functional import softplus
from training_steps import make_step

from gancli import config
from gancli.functional import losses
from gancli.models.equalised import minibatch_deviation, pixel_norm
from gancli.models.skip_layer import Gated, Pool
from gancli.recipes.base import Batch, Spec
from gancli.recipes.began import BEGAN, Autoencoder
from gancli.recipes.fastgan import FastGAN
from gancli.recipes.improved import REFERENCE, Generator, History, Improved, MinibatchDiscrimination, VirtualBatchNorm
from gancli.recipes.pacgan import PacGAN, Packed
from gancli.recipes.progressive import Growth, Progressive, growth_at
from gancli.recipes.unrolled import Unrolled, unrolled
from gancli.recipes.vaegan import VAEGAN, prior_divergence, with_scaled_gradient

SPEC = Spec(1, 8, 8, 10)


def parts(recipe: Any, spec: Spec = SPEC) -> tuple[nn.Module, nn.Module, Batch, Batch]:
    torch.manual_seed(1)
    g, d = recipe.networks(spec)
    z = torch.randn(8, recipe.latent_dim)
    return g, d, Batch(torch.rand(8, *spec.shape) * 2 - 1), Batch(g(z), None, z)


class TestPacGAN:
    def test_d_judges_consecutive_images_stacked_and_leaves_a_remainder_out(self) -> None:
        packed = Packed(nn.Flatten(), 2)
        images = torch.arange(5 * 4.0).view(5, 1, 2, 2)
        assert torch.equal(packed(images), images[:4].view(2, 8))

    def test_points_have_the_papers_networks_and_rates(self) -> None:
        spec = Spec(2, 1, 1, 25, 4.0)
        recipe = PacGAN(pack=3).fitted(spec, 1000, 1000)
        assert (recipe.latent_dim, recipe.g_lr, recipe.beta1) == (2, 1e-4, 0.8)
        g, d = recipe.networks(spec)
        assert [m.out_features for m in g.modules() if isinstance(m, nn.Linear)] == [400, 400, 400, 400, 2]
        assert [m.in_features for m in d.modules() if isinstance(m, nn.Linear)] == [6, 200, 200, 200]

    def test_both_networks_work_on_coordinates(self) -> None:
        recipe = PacGAN().fitted(Spec(2, 1, 1, 25, 4.0), 1000, 1000)
        g, d = recipe.networks(Spec(2, 1, 1, 25, 4.0))
        z = torch.randn(6, 2)
        torch.testing.assert_close(4 * g(z)[:, :, 0, 0], g.layers(z))  # type: ignore[operator]
        points = torch.rand(6, 2, 1, 1)
        torch.testing.assert_close(d(points), d.network.layers(4 * points.reshape(3, 4)).squeeze(1))  # type: ignore[operator, union-attr]


class TestUnrolled:
    def trained(self) -> tuple[nn.Module, torch.optim.Optimizer, torch.Tensor, torch.Tensor]:
        """A small D in float64 after three steps of Adam, and real and generated points."""
        torch.manual_seed(0)
        d = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()
        adam = torch.optim.Adam(d.parameters(), lr=0.05, betas=(0.5, 0.9))
        real, fake = torch.randn(2, 6, 3).double()
        for _ in range(3):
            self.step(d, adam, real, fake)
        return d, adam, real, fake

    @staticmethod
    def step(d: nn.Module, adam: torch.optim.Optimizer, real: torch.Tensor, fake: torch.Tensor) -> None:
        adam.zero_grad()
        losses.logistic_d(d(real), d(fake)).backward()
        adam.step()

    @staticmethod
    def foreseen(
        d: nn.Module, adam: torch.optim.Optimizer, real: torch.Tensor, fake: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        def loss(weights: dict[str, torch.Tensor]) -> torch.Tensor:
            return losses.logistic_d(functional_call(d, weights, (real,)), functional_call(d, weights, (fake,)))

        return unrolled(d, adam, loss, 3)

    def test_the_steps_are_those_that_ds_own_adam_would_take_next(self) -> None:
        d, adam, real, fake = self.trained()
        found = self.foreseen(d, adam, real, fake)
        before = {name: value.detach().clone() for name, value in d.named_parameters()}
        for _ in range(3):
            self.step(d, adam, real, fake)
        for name, value in d.named_parameters():
            torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-6)  # Adam counts in float32
            assert not torch.allclose(value, before[name], rtol=1e-3)

    def test_gs_gradient_goes_through_ds_steps(self) -> None:
        d, adam, real, fake = self.trained()
        fake = fake.clone().requires_grad_()

        def objective(values: torch.Tensor) -> torch.Tensor:
            return functional_call(d, self.foreseen(d, adam, real, values), (values,)).mean()

        (gradient,) = torch.autograd.grad(objective(fake), fake)
        ahead = self.foreseen(d, adam, real, fake.detach())
        (direct,) = torch.autograd.grad(functional_call(d, ahead, (fake,)).mean(), fake)
        assert not torch.allclose(gradient, direct, rtol=0.1), "the steps add something"
        direction, size = torch.randn_like(fake), 1e-5
        slope = (objective(fake + size * direction) - objective(fake - size * direction)) / (2 * size)
        assert (gradient * direction).sum().item() == pytest.approx(slope.item(), rel=1e-5)

    def test_weights_that_adam_has_not_moved_stay(self) -> None:
        d, adam, real, fake = self.trained()
        frozen = nn.Sequential(nn.Linear(3, 3).double(), d)
        found = self.foreseen(frozen, adam, real, fake)
        assert torch.equal(found["0.weight"], frozen[0].weight)  # type: ignore[arg-type]
        assert not torch.equal(found["1.0.weight"], d[0].weight)  # type: ignore[index]

    def test_g_minimises_both_terms_of_the_value_under_the_unrolled_d(self) -> None:
        recipe = Unrolled(width=4, latent_dim=5)
        step = make_step(recipe)
        for _ in range(2):
            step()
        g, d = step.state.g, step.state.d
        real, z = Batch(torch.rand(8, *SPEC.shape) * 2 - 1), torch.randn(8, 5)
        fake = Batch(g(z), None, z)
        found = recipe.g_loss(g, d, real, fake, recipe.schedule(0)).terms["adv"].item()
        for _ in range(recipe.unroll):  # D's next steps, for once really taken
            self.step(d, step.state.d_optimizer, real.images, fake.images.detach())
        value = (torch.sigmoid(d(real.images)).log() + torch.sigmoid(-d(fake.images)).log()).mean()
        assert found == pytest.approx(value.item(), rel=1e-3)


class TestBEGAN:
    def test_the_balance_moves_as_in_the_paper_and_belongs_to_ds_state(self) -> None:
        recipe = BEGAN(width=4, lambda_k=0.5, gamma=0.7)
        g, d, real, fake = parts(recipe)
        assert isinstance(d, Autoencoder)
        d.balance.fill_(0.3)
        real_error, fake_error = (-d(batch.images).mean().item() for batch in (real, fake))
        loss = recipe.d_loss(g, d, real, fake.detach(), recipe.schedule(0))
        total = sum(term.item() for term in loss.terms.values())
        assert total == pytest.approx(real_error - 0.3 * fake_error, rel=1e-4)
        expected = min(1, max(0, 0.3 + 0.5 * (0.7 * real_error - fake_error)))
        assert d.state_dict()["balance"].item() == pytest.approx(expected, rel=1e-4)

    def test_files_of_older_versions_name_its_hyperparameters_in_words(self) -> None:
        older = {"diversity": 0.5, "proportion": 0.01, "width": 4}
        assert config.build(BEGAN, older, "a file") == BEGAN(gamma=0.5, lambda_k=0.01, width=4)

    def test_latents_are_made_uniform(self) -> None:
        g, _ = BEGAN(width=4).networks(SPEC)
        seen: list[torch.Tensor] = []
        g.project.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))  # type: ignore[union-attr]
        g(torch.randn(4000, 64))
        shares = torch.histc(seen[0], 4, -1, 1) / seen[0].numel()
        assert seen[0].abs().max() <= 1
        torch.testing.assert_close(shares, torch.full((4,), 0.25), rtol=0.02, atol=0)


class TestImproved:
    def test_minibatch_discrimination_is_the_papers_sum(self) -> None:
        layer, features = MinibatchDiscrimination(5, 3, 2), torch.randn(4, 5) * 10
        found = layer(features)
        for i in range(4):
            for b in range(3):
                rows = features @ layer.tensor[:, b]
                expected = sum(math.exp(-(rows[i] - rows[j]).abs().sum().item()) for j in range(4))
                assert found[i, b].item() == pytest.approx(expected, rel=1e-4)

    def test_virtual_batch_norm_knows_the_reference_and_the_image_alone(self) -> None:
        layer = VirtualBatchNorm(2)
        reference, image = torch.randn(REFERENCE, 2, 3, 3), torch.randn(1, 2, 3, 3) + 4
        both = torch.cat([reference, image])
        mean, var = both.mean((0, 2, 3)), both.var((0, 2, 3), correction=0)
        expected = (image - mean[:, None, None]) / (var[:, None, None] + 1e-5).sqrt()
        torch.testing.assert_close(layer(both)[REFERENCE:], expected, rtol=1e-4, atol=1e-4)
        plain = nn.BatchNorm2d(2)(reference)
        torch.testing.assert_close(layer(both)[:REFERENCE], plain, rtol=1e-3, atol=1e-4)

    def test_virtual_batch_norm_keeps_its_statistics_in_half_precision(self) -> None:
        """Far from zero, the mean square less the squared mean has no digit of bfloat16 left."""
        layer, maps = VirtualBatchNorm(2), torch.randn(REFERENCE + 8, 2, 4, 4) + 20
        found = layer(maps.to(torch.bfloat16))
        assert found.dtype == torch.bfloat16
        torch.testing.assert_close(found.float(), layer(maps), rtol=0.02, atol=0.1)

    @pytest.mark.parametrize("spread", [0.0, 1e-3])
    def test_virtual_batch_norm_stands_maps_that_are_nearly_constant(self, spread: float) -> None:
        maps = 10 * torch.rand(2, 1, 1) + 10 + spread * torch.randn(REFERENCE + 8, 2, 4, 4)
        exact = VirtualBatchNorm(2).double()(maps.double())
        torch.testing.assert_close(VirtualBatchNorm(2)(maps), exact.float(), rtol=1e-3, atol=1e-4)

    def test_a_generator_with_it_draws_each_image_by_itself(self) -> None:
        g = Generator(6, 4, SPEC)
        z = torch.randn(5, 6)
        alone = torch.cat([g(each[None]) for each in z])
        torch.testing.assert_close(g(z), alone, rtol=1e-4, atol=1e-5)

    def test_history_is_the_distance_to_the_mean_of_all_weights_so_far(self) -> None:
        network = nn.Linear(2, 1)
        history, seen = History(network), []
        for _ in range(3):
            seen.append(torch.cat([p.detach().flatten().clone() for p in network.parameters()]))
            found = history.distance(network)
            expected = (seen[-1] - torch.stack(seen).mean(0)).square().sum()
            assert found.item() == pytest.approx(expected.item(), abs=1e-6)
            for parameter in network.parameters():
                parameter.data += 1.0

    def test_feature_matching_is_the_distance_of_the_features_means(self) -> None:
        recipe = Improved(feature_matching=True, width=4)
        g, d, real, fake = parts(recipe)
        loss = recipe.g_loss(g, d, real, fake, recipe.schedule(0))
        means = [d.features(batch.images).mean(0) for batch in (real, fake)]  # type: ignore[operator]
        assert loss.terms["features"].item() == pytest.approx((means[0] - means[1]).square().sum().item(), rel=1e-4)

    def test_each_switch_changes_the_training(self) -> None:
        outcomes = set()
        switches = [{}, {"feature_matching": True}, {"minibatch_discrimination": False}, {"historical_averaging": 1.0},
                    {"real_target": 1.0}, {"virtual_batch_norm": False}]  # fmt: skip
        for switch in switches:
            step = make_step(replace(Improved(width=4), **switch))
            for _ in range(3):
                step()
            outcomes.add(round(float(step.state.d.state_dict()["logit.bias"]), 9))
        assert len(outcomes) == len(switches)


class TestProgressive:
    SPEC = Spec(1, 16, 16)
    """Four pixels that double twice."""

    @pytest.mark.parametrize(
        ("seen", "growth"),
        [(0, Growth(0, 1.0)), (99, Growth(0, 1.0)), (150, Growth(1, 0.5)), (250, Growth(1, 1.0)),
         (325, Growth(2, 0.25)), (10**6, Growth(2, 1.0))],
    )  # fmt: skip
    def test_the_size_is_a_function_of_the_images_seen(self, seen: int, growth: Growth) -> None:
        assert growth_at(seen, 100.0, 2) == growth

    def test_networks_that_go_on_are_grown_at_the_first_image(self) -> None:
        recipe = Progressive(width=4).continued().fitted(self.SPEC, 1000, 40_000)
        for network in recipe.networks(self.SPEC):
            recipe.advance(network, 0)
            assert network.growth == Growth(network.levels, 1.0)
        assert not Progressive(images_per_phase=100.0).continued().grown

    def test_growing_is_continuous(self) -> None:
        recipe = Progressive(width=4).fitted(self.SPEC, 1000, 40_000)
        g, d, real, fake = parts(recipe, self.SPEC)
        for boundary in (10_000, 20_000):
            sides = []
            for seen in (boundary * 0.5 - 1, boundary * 0.5 + 1):
                for network in (g, d):
                    recipe.advance(network, int(seen))
                sides.append((g(fake.latents), d(real.images)))
            for before, after in zip(*sides, strict=True):
                torch.testing.assert_close(before, after, rtol=1e-2, atol=1e-2)

    def test_small_stages_draw_blocks_of_equal_pixels(self) -> None:
        recipe = Progressive(width=4).fitted(self.SPEC, 1000, 40_000)
        g, _, _, fake = parts(recipe, self.SPEC)
        images = g(fake.latents)
        assert torch.equal(images[:, :, ::4, ::4].repeat_interleave(4, 2).repeat_interleave(4, 3), images)

    def test_the_stage_travels_with_the_weights(self) -> None:
        recipe = Progressive(width=4).fitted(self.SPEC, 1000, 40_000)
        g, _, _, fake = parts(recipe, self.SPEC)
        recipe.advance(g, 12_000)
        other, _ = recipe.networks(self.SPEC)
        other.load_state_dict(g.state_dict())
        assert torch.equal(other(fake.latents), g(fake.latents))

    def test_pixel_norm_and_minibatch_deviation_by_hand(self) -> None:
        maps = torch.randn(8, 6, 3, 3)
        torch.testing.assert_close(pixel_norm(maps).square().mean(1), torch.ones(8, 3, 3), rtol=1e-4, atol=1e-4)
        channel = minibatch_deviation(maps)[:, 6]
        for group in (0, 1):
            expected = maps[4 * group : 4 * group + 4].var(0, correction=0).sqrt().mean()
            torch.testing.assert_close(channel[4 * group], expected.expand(3, 3), rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize(("images", "group"), [(3, 3), (7, 7), (10, 5), (12, 4), (22, 11)])
    def test_minibatch_deviation_of_batches_that_four_does_not_divide(self, images: int, group: int) -> None:
        maps = torch.randn(images, 2, 3, 3)
        expected = maps[:group].var(0, correction=0).sqrt().mean()
        found = minibatch_deviation(maps)[:group, 2]
        torch.testing.assert_close(found, expected.expand(group, 3, 3), rtol=1e-4, atol=1e-5)

    def test_both_are_sound_in_half_precision_where_images_agree(self) -> None:
        maps = torch.zeros(4, 3, 2, 2, dtype=torch.float16, requires_grad=True)
        (minibatch_deviation(maps).float().sum() + pixel_norm(maps).float().sum()).backward()
        assert maps.grad is not None and maps.grad.isfinite().all()

    def test_the_penalty_is_measured_at_the_present_size(self) -> None:
        recipe = Progressive(width=4, penalty=1.0).fitted(self.SPEC, 1000, 40_000)
        g, d, real, fake = parts(recipe, self.SPEC)
        for network in (g, d):
            recipe.advance(network, 0)
        torch.manual_seed(3)
        found = recipe.d_loss(g, d, real, fake.detach(), recipe.schedule(0)).terms["gp"]
        torch.manual_seed(3)
        small = [d.shrunk(batch.images.detach()) for batch in (real, fake)]  # type: ignore[operator]
        assert small[0].shape[2:] == (4, 4)
        points = (small[0] + torch.rand(8, 1, 1, 1) * (small[1] - small[0])).requires_grad_()
        (gradient,) = torch.autograd.grad(d.logits(points).sum(), points)  # type: ignore[operator]
        assert found.item() == pytest.approx((gradient.flatten(1).norm(dim=1) - 1).square().mean().item(), rel=1e-4)

    def test_the_first_images_have_at_least_four_pixels_a_side(self) -> None:
        for side, first in ((8, 4), (28, 7), (48, 6), (256, 4)):
            _, d = Progressive(width=1).fitted(Spec(1, side, side), 1000, 40_000).networks(Spec(1, side, side))
            assert d.shrunk(torch.zeros(1, 1, side, side)).shape[2:] == (first, first)  # type: ignore[operator]


class TestFastGAN:
    def test_reconstructions_are_of_the_whole_and_of_a_quarter(self) -> None:
        _, d = FastGAN(width=4).networks(Spec(3, 32, 32))
        d.eval()  # in training each pass improves the estimate of the largest singular value
        images = torch.rand(4, 3, 32, 32) * 2 - 1
        last, before = d.maps(images)  # type: ignore[operator]
        assert d.whole(last).shape[2:] == (32, 32)  # type: ignore[operator]
        seen = {round(d.reconstruction_error(images, last, before).item(), 6) for _ in range(30)}  # type: ignore[operator]
        assert len(seen) == 4, "one value for each quarter"

    def test_large_images_are_compared_at_128_pixels(self) -> None:
        _, d = FastGAN(width=2).networks(Spec(1, 256, 256))
        last, before = d.maps(torch.rand(2, 1, 256, 256))  # type: ignore[operator]
        assert d.whole(last).shape[2:] == (128, 128)  # type: ignore[operator]
        assert d.part(before[:, :, :4, :4]).shape[2:] == (64, 64)  # type: ignore[operator]

    @pytest.mark.parametrize("size", [(8, 8), (9, 6), (3, 5)])
    def test_maps_are_pooled_as_torch_pools_them(self, size: tuple[int, int]) -> None:
        maps = torch.randn(2, 3, *size)
        torch.testing.assert_close(Pool(4)(maps), torch.nn.functional.adaptive_avg_pool2d(maps, 4))

    def test_it_is_augmented_by_default(self) -> None:
        assert FastGAN().augmentation(SPEC, 100) == "diffaug"

    def test_maps_of_8_32_and_128_have_two_noisy_layers_as_in_the_authors_code(self) -> None:
        g, _ = FastGAN(width=2).networks(Spec(3, 256, 256))
        layers = [[m for m in doubling.modules() if isinstance(m, Gated)] for doubling in g.doublings]  # type: ignore[union-attr]
        assert [len(each) for each in layers] == [2, 1, 2, 1, 2, 1]
        assert [each[0].noise is not None for each in layers] == [True, False, True, False, True, False]
        latents = torch.randn(2, 256)
        for layer in layers[0]:
            layer.noise.data.fill_(1.0)  # type: ignore[union-attr]
        assert not torch.equal(g(latents), g(latents))
        assert torch.equal(g.eval()(latents), g(latents))

    def test_the_averaged_generator_stays_normalised(self) -> None:
        """What follows the largest singular value is not averaged: a mean of unit vectors is shorter, and the weights
        divided by what it finds are larger than one."""
        step = make_step(FastGAN(width=4, ema_half_life=2000.0), spec=Spec(3, 16, 16))
        for _ in range(12):
            step()
        held = dict(step.state.g.named_buffers())
        found = {name: value for name, value in step.state.ema.named_buffers() if name.endswith(("._u", "._v"))}
        assert found and all(torch.equal(value, held[name]) for name, value in found.items())
        assert all(value.norm().item() == pytest.approx(1, abs=1e-4) for value in found.values())
        averaged = step.state.ema.norm.running_mean  # type: ignore[union-attr]
        assert not torch.equal(averaged, step.state.g.norm.running_mean)  # type: ignore[union-attr]


class TestVAEGAN:
    def test_the_divergence_is_the_closed_form(self) -> None:
        mean, log_variance = torch.randn(5, 3), torch.randn(5, 3)
        q = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
        expected = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum(1).mean()
        assert prior_divergence(mean, log_variance).item() == pytest.approx(expected.item(), rel=1e-5)

    def test_encoder_and_decoder_get_the_gradients_of_algorithm_1(self) -> None:
        recipe = VAEGAN(width=4, gamma=0.01)
        g, d, real, fake = parts(recipe)
        for network in (g, d):
            network.eval()  # so that the passes do not differ by their statistics
        fake = Batch(g(fake.latents), None, fake.latents)
        torch.manual_seed(4)
        terms = recipe.g_loss(g, d, real, fake, recipe.schedule(0)).terms
        encoder = [p for name, p in g.named_parameters() if name.startswith("encoder")]
        decoder = [p for name, p in g.named_parameters() if not name.startswith("encoder")]
        total = torch.stack(list(terms.values())).sum()
        found = torch.autograd.grad(total, encoder + decoder, retain_graph=True)
        torch.manual_seed(4)
        mean, log_variance = g.encode(real.images)  # type: ignore[operator]
        z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        likeness = 0.5 * (d.features(g(z)) - d.features(real.images)).square().sum(1).mean()  # type: ignore[operator]
        fooled = losses.non_saturating_g(d(g(z.detach()))) + losses.non_saturating_g(d(fake.images))
        for_encoder = torch.autograd.grad(likeness + prior_divergence(mean, log_variance), encoder, retain_graph=True)
        for_decoder = torch.autograd.grad(0.01 * likeness + fooled, decoder)
        for ours, theirs in zip(found, [*for_encoder, *for_decoder], strict=True):
            torch.testing.assert_close(ours, theirs, rtol=2e-3, atol=1e-6)

    def test_the_discriminator_weighs_three_terms_alike(self) -> None:
        recipe = VAEGAN(width=4)
        g, d, real, fake = parts(recipe)
        loss = recipe.d_loss(g, d, real, fake, recipe.schedule(0))
        signs = {"real": -1, "fake": 1, "rebuilt": 1}
        expected = sum(softplus(sign * loss.logits[name]).mean() for name, sign in signs.items())
        torch.testing.assert_close(loss.terms["adv"], expected)

    def test_scaling_a_gradient_leaves_the_values(self) -> None:
        values = torch.randn(3, requires_grad=True)
        scaled = with_scaled_gradient(values, 100.0)
        torch.testing.assert_close(scaled, values)
        assert torch.autograd.grad(scaled.sum(), values)[0].tolist() == [100.0] * 3

    def test_it_encodes_and_reconstructs(self) -> None:
        g, _, real, _ = parts(VAEGAN(width=4))
        assert g.reconstruct(real.images).shape == real.images.shape  # type: ignore[operator]
