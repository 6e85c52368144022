"""Adversarial losses: pure functions of logits ``(N,)`` to a scalar, in float32 or float64.

D = sigmoid(logit), so log D = -softplus(-logit) and log(1 - D) = -softplus(logit). Both are exact for large logits.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus


def at_least_fp32(values: Tensor) -> Tensor:
    """Half precision to float32; float32 and float64 unchanged.

    Example:
        >>> at_least_fp32(torch.zeros(1, dtype=torch.bfloat16)).dtype
        torch.float32
    """
    return values.to(torch.promote_types(values.dtype, torch.float32))


def logistic_d(real: Tensor, fake: Tensor, real_target: float = 1.0) -> Tensor:
    """-V(G, D) = -1/2 E[log D(x)] - 1/2 E[log(1 - D(G(z)))]; Goodfellow 2014 (arXiv:1406.2661), eq. 1, halved.

    A ``real_target`` below 1 is one-sided label smoothing, Salimans 2016 (arXiv:1606.03498), section 3.4. The
    target's entropy is subtracted from the cross-entropy of real images, so that the minimum is still 0.

    Example:
        >>> undecided = torch.zeros(3)  # D = 1/2 everywhere, so that the loss is log 2
        >>> round(logistic_d(undecided, undecided).item(), 4)
        0.6931
    """
    real = at_least_fp32(real)
    cross_entropy = softplus(-real).mean() + (1 - real_target) * real.mean()
    of_real = cross_entropy - _entropy(real_target)
    of_fake = softplus(at_least_fp32(fake)).mean()
    return 0.5 * (of_real + of_fake)


def _entropy(probability: float) -> float:
    """Entropy of a coin with this probability, in nats."""
    return -sum(p * math.log(p) for p in (probability, 1 - probability) if p > 0)


def minimax_g(fake: Tensor) -> Tensor:
    """E[log(1 - D(G(z)))], Goodfellow 2014, eq. 1; its gradient vanishes where D wins.

    Example:
        >>> round(minimax_g(torch.zeros(3)).item(), 4)  # log(1/2)
        -0.6931
    """
    return -softplus(at_least_fp32(fake)).mean()


def non_saturating_g(fake: Tensor) -> Tensor:
    """-E[log D(G(z))], Goodfellow 2014, section 3: the same fixed point, with a strong gradient where D wins.

    Example:
        >>> round(non_saturating_g(torch.tensor([-100.0])).item(), 4)  # D is sure: minimax_g would give 0
        100.0
    """
    return softplus(-at_least_fp32(fake)).mean()


def least_squares_d(real: Tensor, fake: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """1/2 E[(D(x) - b)^2] + 1/2 E[(D(G(z)) - a)^2], Mao 2017 (arXiv:1611.04076), eq. 2.

    Example:
        >>> least_squares_d(torch.tensor([3.0]), torch.tensor([1.0])).item()  # (2^2 + 1^2) / 2
        2.5
    """
    return 0.5 * ((at_least_fp32(real) - b).square().mean() + (at_least_fp32(fake) - a).square().mean())


def least_squares_g(fake: Tensor, c: float = 1.0) -> Tensor:
    """1/2 E[(D(G(z)) - c)^2], Mao 2017, eq. 2.

    Example:
        >>> least_squares_g(torch.tensor([3.0, 1.0])).item()  # (2^2 + 0) / 2 / 2
        1.0
    """
    return 0.5 * (at_least_fp32(fake) - c).square().mean()


def wasserstein_d(real: Tensor, fake: Tensor) -> Tensor:
    """E[f(G(z))] - E[f(x)], Arjovsky 2017 (arXiv:1701.07875), eq. 3: the negative estimate of the distance.

    Example:
        >>> wasserstein_d(torch.tensor([3.0, 5.0]), torch.tensor([1.0])).item()
        -3.0
    """
    return at_least_fp32(fake).mean() - at_least_fp32(real).mean()


def wasserstein_g(fake: Tensor) -> Tensor:
    """-E[f(G(z))], Arjovsky 2017, algorithm 1.

    Example:
        >>> wasserstein_g(torch.tensor([1.0, 3.0])).item()
        -2.0
    """
    return -at_least_fp32(fake).mean()


def hinge_d(real: Tensor, fake: Tensor) -> Tensor:
    """E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))], Miyato 2018 (arXiv:1802.05957), eq. 16; G's is `wasserstein_g`.

    Example:
        >>> hinge_d(torch.tensor([0.5]), torch.tensor([-3.0])).item()  # -3 is beyond the margin
        0.5
    """
    return (1 - at_least_fp32(real)).relu().mean() + (1 + at_least_fp32(fake)).relu().mean()


def relativistic_d(real: Tensor, fake: Tensor) -> Tensor:
    """E[softplus(D(G(z)) - D(x))] over pairs of a generated and a real image.

    Jolicoeur-Martineau 2019 (arXiv:1807.00734); Huang 2024 (arXiv:2501.05441), eq. 2 with f(t) = -log(1 + exp(-t)).

    Example:
        >>> round(relativistic_d(torch.tensor([7.0]), torch.tensor([7.0])).item(), 4)  # only differences count
        0.6931
    """
    return softplus(at_least_fp32(fake) - at_least_fp32(real)).mean()


def relativistic_g(real: Tensor, fake: Tensor) -> Tensor:
    """E[softplus(D(x) - D(G(z)))] over pairs: `relativistic_d` with the roles exchanged, as Huang 2024 trains G.

    Example:
        >>> round(relativistic_g(torch.tensor([100.0]), torch.tensor([0.0])).item(), 4)
        100.0
    """
    return softplus(at_least_fp32(real) - at_least_fp32(fake)).mean()
