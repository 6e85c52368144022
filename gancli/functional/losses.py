"""Adversarial losses as pure functions of logits ``(N,)``, float in any precision, to a scalar, float32 at least.

With D = sigmoid(logits): log D = -softplus(-logits) and log(1 - D) = -softplus(logits), exact for any size.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus


def at_least_fp32(values: Tensor) -> Tensor:
    """Half precision as float32, float32 and float64 as they are."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def logistic_d(real: Tensor, fake: Tensor, real_target: float = 1.0) -> Tensor:
    """-V(G, D) = -1/2 E[log D(x)] - 1/2 E[log(1 - D(G(z)))], Goodfellow 2014 (arXiv:1406.2661), eq. 1 halved.

    A ``real_target`` below 1 is one-sided label smoothing, Salimans 2016 (arXiv:1606.03498), section 3.4: the
    cross-entropy of real images against that probability, less the probability's own entropy, so that 0 is the least
    here too.
    """
    real = at_least_fp32(real)
    divergence = softplus(-real).mean() + (1 - real_target) * real.mean() - _entropy(real_target)
    return 0.5 * (divergence + softplus(at_least_fp32(fake)).mean())


def _entropy(probability: float) -> float:
    """Of a coin, in nats."""
    return -sum(p * math.log(p) for p in (probability, 1 - probability) if p > 0)


def minimax_g(fake: Tensor) -> Tensor:
    """E[log(1 - D(G(z)))], what G minimises in eq. 1 of Goodfellow 2014; saturates where D wins."""
    return -softplus(at_least_fp32(fake)).mean()


def non_saturating_g(fake: Tensor) -> Tensor:
    """-E[log D(G(z))], Goodfellow 2014, section 3: same fixed point, strong gradients where D wins."""
    return softplus(-at_least_fp32(fake)).mean()


def least_squares_d(real: Tensor, fake: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """1/2 E[(D(x) - b)^2] + 1/2 E[(D(G(z)) - a)^2], Mao 2017 (arXiv:1611.04076), eq. 2."""
    return 0.5 * ((at_least_fp32(real) - b).square().mean() + (at_least_fp32(fake) - a).square().mean())


def least_squares_g(fake: Tensor, c: float = 1.0) -> Tensor:
    """1/2 E[(D(G(z)) - c)^2], Mao 2017, eq. 2."""
    return 0.5 * (at_least_fp32(fake) - c).square().mean()


def wasserstein_d(real: Tensor, fake: Tensor) -> Tensor:
    """E[f(G(z))] - E[f(x)], minus the estimate of the distance: Arjovsky 2017 (arXiv:1701.07875), eq. 3."""
    return at_least_fp32(fake).mean() - at_least_fp32(real).mean()


def wasserstein_g(fake: Tensor) -> Tensor:
    """-E[f(G(z))], Arjovsky 2017, algorithm 1."""
    return -at_least_fp32(fake).mean()


def hinge_d(real: Tensor, fake: Tensor) -> Tensor:
    """E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))], Miyato 2018 (arXiv:1802.05957), eq. 16; G's is `wasserstein_g`."""
    return (1 - at_least_fp32(real)).relu().mean() + (1 + at_least_fp32(fake)).relu().mean()


def relativistic_d(real: Tensor, fake: Tensor) -> Tensor:
    """E[softplus(D(G(z)) - D(x))] over pairs, Jolicoeur-Martineau 2019 (arXiv:1807.00734); Huang 2024
    (arXiv:2501.05441), eq. 2 with f(t) = -log(1 + exp(-t)).
    """
    return softplus(at_least_fp32(fake) - at_least_fp32(real)).mean()


def relativistic_g(real: Tensor, fake: Tensor) -> Tensor:
    """E[softplus(D(x) - D(G(z)))] over pairs: the same with the roles exchanged, as Huang 2024 trains G."""
    return softplus(at_least_fp32(real) - at_least_fp32(fake)).mean()
