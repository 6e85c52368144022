"""A plugin of pytest (``-p instant_failures``) that writes what failed at once, so that it outlives a killed run.

The file is that of the environment's INSTANT_FAILURES; each failure ends with a NUL.
"""

import os
from pathlib import Path

import pytest

LONGEST = 2000
"""Characters of a failure that are kept, from its end, where the reason is."""


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Called for each test, by the process that shows the results."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        with Path(os.environ["INSTANT_FAILURES"]).open("a") as file:
            file.write(f"{report.nodeid}\n{report.longreprtext[-LONGEST:]}\0")
