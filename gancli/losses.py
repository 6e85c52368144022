"""Adversarial losses as pure functions of logits ``(N,)``, float in any precision, to a float32 scalar.

With D = sigmoid(logits): log D = -softplus(-logits) and log(1 - D) = -softplus(logits), exact for any size.
"""

from torch import Tensor
from torch.nn.functional import softplus


def logistic_d(real: Tensor, fake: Tensor) -> Tensor:
    """-V(G, D) = -1/2 E[log D(x)] - 1/2 E[log(1 - D(G(z)))], Goodfellow 2014 (arXiv:1406.2661), eq. 1 halved."""
    return 0.5 * (softplus(-real.float()).mean() + softplus(fake.float()).mean())


def minimax_g(fake: Tensor) -> Tensor:
    """E[log(1 - D(G(z)))], what G minimises in eq. 1 of Goodfellow 2014; saturates where D wins."""
    return -softplus(fake.float()).mean()


def non_saturating_g(fake: Tensor) -> Tensor:
    """-E[log D(G(z))], Goodfellow 2014, section 3: same fixed point, strong gradients where D wins."""
    return softplus(-fake.float()).mean()
