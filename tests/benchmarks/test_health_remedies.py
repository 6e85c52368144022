"""The rates that the doctor tells are those that were measured."""

import json
from collections import defaultdict
from pathlib import Path

from gancli.health.remedies import REMEDIES
from gancli.health.trials import TRIALS

RESULTS = Path(__file__).parents[2] / "benchmarks" / "health_remedies.json"


def test_the_doctors_rates_are_the_measured_ones() -> None:
    helped = defaultdict(list)
    for row in json.loads(RESULTS.read_text()):
        helped[row["failure"], row["remedy"]].append(row["helped"])
    told = {(failure, name): trials for failure, tried in TRIALS.items() for name, trials in tried.items()}
    assert told == {pair: (sum(outcomes), len(outcomes)) for pair, outcomes in helped.items()}
    known = {(failure, remedy.name) for failure, remedies in REMEDIES.items() for remedy in remedies}
    assert told.keys() <= known, "a remedy that the doctor no longer names"
