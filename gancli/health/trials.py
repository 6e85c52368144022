"""The success rate of each remedy for its failure, a summary of benchmarks/health_remedies.json."""

from collections.abc import Mapping
from typing import NamedTuple


class Trials(NamedTuple):
    """Runs that failed and were repeated with a remedy."""

    helped: int
    """Those that failed no longer."""
    runs: int


TRIALS: Mapping[str, Mapping[str, Trials]] = {}
"""By failure and name of the remedy; what is missing was not tried."""
