"""Sees from a run's lines of metrics that a GAN is failing, and says which way and what to change.

A watch reads line after line, and knows nothing else but which remedies a run has already: the one that looks on while
a run goes on, the one of a run that was resumed and the one of ``gancli doctor`` come to the same alarms. The
thresholds are those of benchmarks/health.py.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from statistics import median
from typing import Any

from gancli.health import remedies
from gancli.health.remedies import DIVERGED_REMEDIES, Config, Remedy, advice, number_of

PREFIX = "health/"
WARM_UP = 500
"""Steps in which samples may still be alike."""
MEASURED = frozenset(("separation", "memorised", "g_gradient", "diversity", "contrast"))
"""What a measurement has at least; see `vital_signs`."""
Signs = Mapping[str, float]


@dataclass(frozen=True)
class Alarm:
    """One way in which a GAN fails, found at a step."""

    failure: str
    """Its short name."""
    step: int
    since: int
    """The first step of those that show it."""
    evidence: str
    """A sentence with the numbers."""
    advice: str
    """A sentence with flags to try."""

    def __str__(self) -> str:
        return f"{self.evidence} {self.advice}"

    def as_dict(self) -> dict[str, Any]:
        """As it is written to ``metrics.jsonl``."""
        return asdict(self)


@dataclass(frozen=True)
class Rule:
    """A failure and how it shows: ``sick`` holds in so many measurements in a row."""

    failure: str
    sick: Callable[[Sequence[Signs]], bool]
    """Of all measurements so far, the newest last."""
    lasting: int
    evidence: Callable[[Sequence[Signs], int], str]
    """Of the measurements, and the step since which it holds."""
    remedies: tuple[Remedy, ...]
    """The best first."""


def _d_won(signs: Sequence[Signs]) -> bool:
    return signs[-1].get("d_left", 1.0) < 0.05 and signs[-1]["separation"] > 0.99


def _collapsed(signs: Sequence[Signs]) -> bool:
    alike = signs[-1]["diversity"] < 0.4 or signs[-1].get("duplicates", 0.0) > 0.5
    return signs[-1]["step"] > WARM_UP and alike


def _dead(signs: Sequence[Signs]) -> bool:
    return signs[-1]["step"] > WARM_UP and (signs[-1]["contrast"] < 0.05 or signs[-1]["g_gradient"] == 0)


def _vanishing(signs: Sequence[Signs]) -> bool:
    return len(signs) > 5 and signs[-1]["g_gradient"] < _early_gradient(signs) / 100 and signs[-1]["separation"] > 0.9


def _d_lost(signs: Sequence[Signs]) -> bool:
    return signs[-1]["step"] > WARM_UP and signs[-1]["separation"] < 0.2


def _oscillating(signs: Sequence[Signs]) -> bool:
    newest = [each["separation"] for each in signs[-OSCILLATION:]]
    turns = sum((a > 0.5) != (b > 0.5) for a, b in pairwise(newest))
    return turns >= 4 and max(newest) - min(newest) > 0.8


def _memorising(signs: Sequence[Signs]) -> bool:
    return signs[-1]["memorised"] > 0.6 and signs[-1]["separation"] > 0.8


def _overflowing(signs: Sequence[Signs]) -> bool:
    return signs[-1].get("loss_scale", 1.0) < 1


OSCILLATION = 10
"""Measurements over which a swing is judged."""
EARLY = 5


def _early_gradient(signs: Sequence[Signs]) -> float:
    return median(each["g_gradient"] for each in signs[:EARLY])


RULES = (
    Rule(
        "discriminator-won", _d_won, 3,
        lambda signs, since: f"D separates real from generated images completely since step {since}: it ranks "
        f"{signs[-1]['separation']:.1%} of pairs rightly, and its loss is {signs[-1]['d_left']:.2g} "
        f"of what guessing costs{_gradient_change(signs)}.",
        (remedies.R3GAN, "a gradient penalty, or more of it, where the recipe has one", remedies.LOWER_D_RATE),
    ),
    Rule(
        "vanishing-gradient", _vanishing, 3,
        lambda signs, since: f"G learns next to nothing since step {since}: its gradient is "
        f"{_early_gradient(signs) / max(signs[-1]['g_gradient'], 1e-30):.0f} times smaller than at first, and D ranks "
        f"{signs[-1]['separation']:.1%} of pairs rightly.",
        (remedies.R3GAN, remedies.WGAN_GP, "a non-saturating loss", remedies.LOWER_D_RATE),
    ),
    Rule(
        "collapse", _collapsed, 4,
        lambda signs, since: f"the samples are alike since step {since}: two of them differ by "
        f"{signs[-1]['diversity']:.1%} of what two real images do{_twins(signs)}.",
        (remedies.R3GAN, remedies.PACGAN, remedies.LOWER_G_RATE, "a larger --batch-size"),
    ),
    Rule(
        "dead-generator", _dead, 2,
        lambda signs, since: f"G is dead since step {since}: its images have {signs[-1]['contrast']:.1%} of the "
        f"contrast of real ones, and its gradient is {signs[-1]['g_gradient']:.2g}.",
        (remedies.LOWER_RATES, "another --seed"),
    ),
    Rule(
        "discriminator-lost", _d_lost, 4,
        lambda signs, since: f"D takes samples for more real than real images since step {since}: it ranks "
        f"{signs[-1]['separation']:.1%} of pairs rightly, and what it teaches G leads away from the data.",
        (remedies.LOWER_G_RATE, remedies.MORE_STEPS_OF_D),
    ),
    Rule(
        "oscillation", _oscillating, 1,
        lambda signs, since: "G and D chase each other: of the pairs, D ranked between "
        f"{min(each['separation'] for each in signs[-OSCILLATION:]):.0%} and "
        f"{max(each['separation'] for each in signs[-OSCILLATION:]):.0%} rightly in the last {OSCILLATION} looks.",
        (remedies.LOWER_RATES, remedies.NO_MOMENTUM, remedies.R3GAN),
    ),
    Rule(
        "memorising", _memorising, 5,
        lambda signs, since: f"D knows its training images by heart since step {since}: held-out ones are "
        f"{signs[-1]['memorised']:.0%} of the way to generated ones for it.",
        (remedies.ADA, "more pictures", "--init-from a run on similar ones with --freeze-d"),
    ),
    Rule(
        "overflow", _overflowing, 1,
        lambda signs, since: f"gradients overflow in half precision: the losses' scale fell to "
        f"{signs[-1]['loss_scale']:.2g} by step {since}, and no step counts whose gradients are not finite.",
        ("--precision bf16", remedies.FP32),
    ),
)  # fmt: skip


def _gradient_change(signs: Sequence[Signs]) -> str:
    change = _early_gradient(signs) / max(signs[-1]["g_gradient"], 1e-30)
    return f", while G's gradient fell {change:.0f}-fold" if change > 3 else ""


def _twins(signs: Sequence[Signs]) -> str:
    return f", and {signs[-1]['duplicates']:.0%} have a twin" if "duplicates" in signs[-1] else ""


def _diverged(line: Mapping[str, Any], config: Config) -> Alarm | None:
    """A loss or a weight that is not a finite number; in a file it is null."""
    bad = [name for name, value in line.items() if name.startswith(("d/", "g/", "ema/")) and not _finite(value)]
    if not bad:
        return None
    evidence = f"{bad[0]} is no longer a finite number at step {line['step']}."
    return Alarm("diverged", line["step"], line["step"], evidence, advice(DIVERGED_REMEDIES, config))


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(number_of(value))


@dataclass
class Watch:
    """Reads lines of metrics in their order and raises each alarm once, until what it tells of has passed."""

    rules: Sequence[Rule] = RULES
    config: Config = field(default_factory=dict)
    """So that no advice names what the run does already."""
    _signs: list[Signs] = field(default_factory=list)
    _sick: dict[str, list[int]] = field(default_factory=dict)
    """By failure, the steps in a row at which it showed."""
    _diverged: int | None = None
    """The step at which a number was not finite."""

    def observe(self, line: Mapping[str, Any]) -> list[Alarm]:
        """The alarms that this line raises; lines without measurements raise none."""
        found = {name.removeprefix(PREFIX): number_of(value) for name, value in line.items() if name.startswith(PREFIX)}
        if diverged := _diverged(line, self.config):
            self._diverged = diverged.step
            return [diverged]
        if not found.keys() >= MEASURED:
            return []
        self._diverged = None
        self._signs.append(found | {"step": line["step"]})
        return [alarm for rule in self.rules if (alarm := self._judge(rule, line["step"]))]

    def _judge(self, rule: Rule, step: int) -> Alarm | None:
        sick = self._sick.setdefault(rule.failure, [])
        if not rule.sick(self._signs):
            sick.clear()
            return None
        sick.append(step)
        if len(sick) != rule.lasting:
            return None
        told = advice(rule.remedies, self.config)
        return Alarm(rule.failure, step, sick[0], rule.evidence(self._signs, sick[0]), told)

    @property
    def present(self) -> set[str]:
        """The failures that still show."""
        found = {rule.failure for rule in self.rules if len(self._sick.get(rule.failure, ())) >= rule.lasting}
        return found | ({"diverged"} if self._diverged is not None else set())

    @property
    def sick_since(self) -> int | None:
        """The first step of those that show a failure at present, though it may not have lasted; None if none does."""
        return min((steps[0] for steps in self._sick.values() if steps), default=None)


def diagnose(lines: Sequence[Mapping[str, Any]], config: Config | None = None) -> tuple[list[Alarm], set[str]]:
    """All alarms of a run's lines of metrics, and the failures that still show at their end."""
    watch = Watch(config=config or {})
    alarms = [alarm for line in lines for alarm in watch.observe(line)]
    return alarms, watch.present
