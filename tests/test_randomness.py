"""Draws depend on their key alone."""

import torch

from gancli.randomness import generator, key, numbered_latents


def test_keys_are_the_same_on_every_machine() -> None:
    assert key(0, "order", 3) == 5517633061788560222
    assert len({key(s, p, n) for s in range(3) for p in "ab" for n in range(3)}) == 18


def test_a_numbered_latent_does_not_depend_on_its_neighbours() -> None:
    many = numbered_latents(5, range(200), 100)
    assert len(many.unique(dim=0)) == 200
    for numbers in ([17, 3], [17], [199, 0, 64, 63, 64], list(range(60, 140))):
        assert torch.equal(numbered_latents(5, numbers, 100), many[numbers])
    far = [10**30, 10**30 + 1]
    assert torch.equal(numbered_latents(5, far[::-1], 8), numbered_latents(5, far, 8).flip(0))
    assert not torch.equal(numbered_latents(6, [17], 100), many[17:18])


def test_latents_are_standard_normal() -> None:
    drawn = numbered_latents(0, range(2000), 50)
    assert abs(drawn.mean().item()) < 4 / 100_000**0.5
    assert abs(drawn.var().item() - 1) < 4 * (2 / 100_000) ** 0.5


def test_purposes_do_not_share_draws() -> None:
    a, b = (torch.randn(1000, generator=generator(0, purpose, 1)) for purpose in ("g", "d"))
    assert abs(torch.corrcoef(torch.stack([a, b]))[0, 1].item()) < 0.15
