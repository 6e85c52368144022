"""The success rate of each remedy for its failure; summarises benchmarks/health_remedies.json."""

from collections.abc import Mapping
from typing import NamedTuple


class Trials(NamedTuple):
    """Runs that failed and were repeated with a remedy."""

    helped: int
    """Number of runs that no longer failed."""
    runs: int


TRIALS: Mapping[str, Mapping[str, Trials]] = {
    "collapse": {"R1": Trials(1, 1), "r3gan": Trials(2, 2), "pacgan": Trials(1, 1)},
    "vanishing-gradient": {"r3gan": Trials(1, 1), "wgan-gp": Trials(1, 1)},
    "discriminator-won": {"R1": Trials(1, 1), "r3gan": Trials(2, 2)},
}
"""By failure and name of the remedy; untried remedies are missing."""
