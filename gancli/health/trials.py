"""The success rate of each remedy for its failure; summarises benchmarks/health_remedies.json."""

from collections.abc import Mapping
from typing import NamedTuple


class Trials(NamedTuple):
    """Runs that failed and were repeated with a remedy."""

    helped: int
    """Number of runs that no longer failed."""
    runs: int


TRIALS: Mapping[str, Mapping[str, Trials]] = {
    "collapse": {
        "R1": Trials(2, 3),
        "r3gan": Trials(1, 2),
        "pacgan": Trials(1, 2),
        "lower g_lr": Trials(0, 2),
        "larger batch": Trials(0, 2),
    },
    "discriminator-won": {"R1": Trials(2, 3), "r3gan": Trials(1, 2), "lower d_lr": Trials(0, 2)},
    "memorising": {"ada": Trials(0, 1)},
    "discriminator-held-down": {"penalty / 100": Trials(1, 1), "lower d_lr": Trials(0, 1)},
    "vanishing-gradient": {
        "non-saturating": Trials(0, 1),
        "r3gan": Trials(1, 1),
        "wgan-gp": Trials(1, 1),
        "lower d_lr": Trials(0, 1),
    },
    "oscillation": {"lower rates": Trials(0, 1), "no momentum": Trials(0, 1), "r3gan": Trials(1, 1)},
}
"""By failure and name of the remedy; untried remedies are missing."""
