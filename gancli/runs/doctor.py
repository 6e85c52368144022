"""Diagnose a run, finished or not, from its folder."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from gancli.artifacts.run_folder import RunFolder
from gancli.config import load_toml
from gancli.errors import UsageError
from gancli.health.watch import Spell, watched
from gancli.training.records import whole_lines

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finding:
    """A failure that a run has shown, once or several times."""

    failure: str
    spells: tuple[Spell, ...]
    """Oldest first."""

    @property
    def is_present(self) -> bool:
        """True if the failure has not ended."""
        return self.spells[-1].until is None

    def as_dict(self) -> dict[str, Any]:
        """Plain data: the newest alarm, and when each spell began and ended (null: not yet)."""
        spells = [{"since": spell.alarm.since, "until": spell.until} for spell in self.spells]
        return self.spells[-1].alarm.as_dict() | {"spells": spells}


@dataclass(frozen=True)
class Checkup:
    """The diagnosis of a run."""

    steps: int
    lines: Sequence[Mapping[str, Any]]
    verdict: str
    """One line."""
    findings: tuple[Finding, ...]

    @property
    def present(self) -> list[str]:
        """Failures that have not ended, sorted."""
        return sorted(finding.failure for finding in self.findings if finding.is_present)

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        alarms = [finding.as_dict() for finding in self.findings]
        return {"steps": self.steps, "verdict": self.verdict, "present": self.present, "alarms": alarms}


def examine(run: Path) -> Checkup:
    """Diagnose a run from its ``metrics.jsonl``; UsageError if there is none."""
    folder = RunFolder(run)
    if not folder.metrics.is_file():
        raise UsageError(f"{run} is not the folder of a run that has begun (it has no metrics.jsonl).")
    lines = whole_lines(folder)
    watch = watched(lines, _configuration(folder))
    steps = max((line["step"] for line in lines), default=0)
    return Checkup(steps, lines, watch.verdict, findings_of(watch.spells))


def findings_of(spells: Sequence[Spell]) -> tuple[Finding, ...]:
    """The spells grouped by failure, in the order of first alarms."""
    order = list(dict.fromkeys(spell.alarm.failure for spell in spells))
    by_failure = groupby(sorted(spells, key=lambda spell: order.index(spell.alarm.failure)), _failure)
    return tuple(Finding(failure, tuple(each)) for failure, each in by_failure)


def _failure(spell: Spell) -> str:
    return spell.alarm.failure


def _configuration(folder: RunFolder) -> Mapping[str, Any]:
    """The run's configuration; empty if it cannot be read, since only the advice needs it."""
    try:
        return load_toml(folder.config)
    except UsageError as error:
        log.warning("the advice does not know the run's settings: %s", error)
        return {}
