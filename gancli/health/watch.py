"""Reads a run's metrics and raises an alarm when its GAN fails.

Live, resumed and `gancli doctor` watches raise the same alarms, because a watch depends on the metrics lines alone.
The configuration affects the advice, not the alarms.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from gancli.health.remedies import DIVERGED, Config, advice, number_of
from gancli.health.rules import RULES, WARM_UP, Rule, Signs, is_warm

PREFIX = "health/"
"""Prefix of measurement names in a line of metrics."""
MEASURED = frozenset(("separation", "memorised", "g_gradient", "diversity", "contrast"))
"""Names that every complete measurement has; see `vital_signs`."""
MIN_JUDGED = 5
"""Fewest measurements after the warm-up for a run to be called healthy."""


@dataclass(frozen=True)
class Alarm:
    """A failure seen at a step."""

    failure: str
    step: int
    since: int
    """First step that showed the failure without a break."""
    evidence: str
    """A sentence with the numbers."""
    advice: str
    """A sentence with flags to try."""

    def __str__(self) -> str:
        return f"{self.evidence} {self.advice}"

    def as_dict(self) -> dict[str, Any]:
        """Plain data, as in ``metrics.jsonl``."""
        return asdict(self)


@dataclass
class Spell:
    """The steps in which a failure showed without a break."""

    alarm: Alarm
    until: int | None = None
    """First measurement without the failure; None while it shows."""

    def __str__(self) -> str:
        return f"since step {self.alarm.since}" if self.until is None else f"steps {self.alarm.since} to {self.until}"


@dataclass
class Watch:
    """Raises alarms from lines of metrics, given in order; an alarm repeats only if its failure ends and returns."""

    rules: Sequence[Rule] = RULES
    config: Config = field(default_factory=dict)
    """The run's configuration, so the advice leaves out what the run already does."""
    spells: list[Spell] = field(default_factory=list)
    """In the order of their alarms."""
    _signs: list[Signs] = field(default_factory=list)
    _sick: dict[str, list[int]] = field(default_factory=dict)
    """By failure, the steps of the newest unbroken row of measurements that show it."""

    def observe(self, line: Mapping[str, Any]) -> list[Alarm]:
        """Return the alarms that this line raises.

        A line without a complete measurement raises none, unless a loss or weight in it is not finite.
        """
        if diverged := _diverged(line, self.config):
            self._end(DIVERGED, line["step"])
            self.spells.append(Spell(diverged))
            return [diverged]
        signs = {name.removeprefix(PREFIX): number_of(value) for name, value in line.items() if name.startswith(PREFIX)}
        if not signs.keys() >= MEASURED:
            return []
        self._end(DIVERGED, line["step"])
        self._signs.append(signs | {"step": line["step"]})
        sick = [rule for rule in self.rules if rule.is_sick(self._signs)]
        explained = frozenset[str]().union(*(rule.explains for rule in sick))
        shown = {rule.failure for rule in sick} - explained
        alarms = [self._count(rule, rule.failure in shown, line["step"]) for rule in self.rules]
        return [alarm for alarm in alarms if alarm]

    def _count(self, rule: Rule, is_sick: bool, step: int) -> Alarm | None:
        """Record whether a measurement shows a failure; return an alarm once the failure has lasted."""
        steps = self._sick.setdefault(rule.failure, [])
        if not is_sick:
            steps.clear()
            self._end(rule.failure, step)
            return None
        steps.append(step)
        if len(steps) != rule.lasting:
            return None
        evidence = rule.evidence(self._signs, steps[0])
        alarm = Alarm(rule.failure, step, steps[0], evidence, advice(rule.failure, self.config))
        self.spells.append(Spell(alarm))
        return alarm

    def _end(self, failure: str, step: int) -> None:
        for spell in self.spells:
            if spell.alarm.failure == failure and spell.until is None:
                spell.until = step

    @property
    def present(self) -> dict[str, int]:
        """Failures that still show, each with its first step."""
        return {spell.alarm.failure: spell.alarm.since for spell in self.spells if spell.until is None}

    @property
    def sick_since(self) -> int | None:
        """First step of all failures that still show, even if too briefly for an alarm; None without any."""
        return min((steps[0] for steps in self._sick.values() if steps), default=None)

    @property
    def verdict(self) -> str:
        """One line: the present failures and their first steps, or how certain it is that there are none."""
        if self.present:
            return "failing: " + ", ".join(f"{name} since step {since}" for name, since in sorted(self.present.items()))
        if not self._signs:
            return "unknown: the run was not watched (--watch-every 0), or has no measurement yet"
        if sum(map(is_warm, self._signs)) < MIN_JUDGED:
            told = "no failure now, after alarms" if self.spells else "no failure seen"
            return f"{told}; too short to judge (under {MIN_JUDGED} measurements after step {WARM_UP})"
        return "healthy now, after alarms" if self.spells else "healthy"


def _diverged(line: Mapping[str, Any], config: Config) -> Alarm | None:
    """An alarm for a loss or weight that is not finite, which a metrics file stores as null; None if all are finite."""
    bad = [name for name, value in line.items() if name.startswith(("d/", "g/", "ema/")) and not _finite(value)]
    if not bad:
        return None
    evidence = f"{bad[0]} is no longer a finite number at step {line['step']}."
    return Alarm(DIVERGED, line["step"], line["step"], evidence, advice(DIVERGED, config))


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(number_of(value))


def watched(lines: Iterable[Mapping[str, Any]], config: Config | None = None) -> Watch:
    """A watch that has observed all lines of a run's metrics."""
    watch = Watch(config=config or {})
    for line in lines:
        watch.observe(line)
    return watch


def diagnose(lines: Iterable[Mapping[str, Any]], config: Config | None = None) -> tuple[list[Alarm], set[str]]:
    """All alarms that a run's lines of metrics raise, and the failures that still show at the end."""
    watch = watched(lines, config)
    return [spell.alarm for spell in watch.spells], set(watch.present)
