"""The failures of a GAN, and the rules that detect them in measurements.

`vital_signs` takes a measurement at a step. Thresholds are calibrated by benchmarks/health.py.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

Signs = Mapping[str, float]
"""A measurement: values by name, and its ``step``."""
WARM_UP = 500
"""Steps at the start of a stage in which similar samples are normal."""
WON_SEPARATION, WON_LOSS = 0.99, 0.05
"""D has won if its share of correctly ranked pairs is larger, and its loss, as a share of guessing, is smaller."""
LOST_SEPARATION = 0.25
"""D has lost if it ranks a smaller share of pairs correctly."""
ALIKE, TWINS = 0.4, 0.5
"""Samples have collapsed if their diversity is below ALIKE, or the share that have a twin is above TWINS."""
FAINT = 0.05
"""G is dead if its contrast is below this share of the contrast of real images."""
VANISHED = 0.01
"""G learns next to nothing if its gradient is below this share of its early gradient."""
CHANCE = 0.55
"""Share of pairs that D ranks correctly by guessing: half, and what a measurement on 64 images scatters."""
MEMORISED_SEPARATION = 0.8
"""D has memorised if it ranks a larger share of training images correctly, but held-out ones only by chance."""
FLAT_LOGITS, CHANCE_MARGIN = 5e-3, 0.005
"""D is constant if its logits spread less than the first, and its loss is within the second share of guessing."""
LEAST_SCALE = 1.0
"""Gradients overflow if half precision's loss scale is below it."""
OSCILLATION = 10
"""Number of newest measurements in which swings of D's ranking are counted."""
EARLY = 5
"""Number of first measurements that give the size of G's early gradient."""


@dataclass(frozen=True)
class Rule:
    """A failure and the condition that detects it."""

    failure: str
    is_sick: Callable[[Sequence[Signs]], bool]
    """True if the last measurement shows the failure, given those before it."""
    lasting: int
    """Number of measurements in a row that must show the failure to raise an alarm."""
    evidence: Callable[[Sequence[Signs], int], str]
    """Returns a sentence with the numbers, given the measurements and the first step that shows the failure."""
    explains: frozenset[str] = frozenset()
    """Failures that follow from this one; they are ignored while it shows."""


def is_warm(signs: Signs) -> bool:
    """True after the warm-up; each stage of a training has its own warm-up."""
    return signs.get("stage_steps", signs["step"]) > WARM_UP


def _d_won(signs: Sequence[Signs]) -> bool:
    return signs[-1].get("d_left", 1.0) < WON_LOSS and signs[-1]["separation"] > WON_SEPARATION


def _collapsed(signs: Sequence[Signs]) -> bool:
    is_alike = signs[-1]["diversity"] < ALIKE or signs[-1].get("duplicates", 0.0) > TWINS
    return is_warm(signs[-1]) and is_alike


def _dead(signs: Sequence[Signs]) -> bool:
    return is_warm(signs[-1]) and (signs[-1]["contrast"] < FAINT or signs[-1]["g_gradient"] == 0)


def _held_down(signs: Sequence[Signs]) -> bool:
    """D is constant and G fails. A constant D alone is not a failure: Adam also steps on tiny gradients."""
    newest = signs[-1]
    is_guessing = abs(newest.get("d_left", math.inf) - 1) < CHANCE_MARGIN
    is_constant = newest.get("logit_spread", math.inf) < FLAT_LOGITS
    return is_guessing and is_constant and (_collapsed(signs) or _dead(signs) or _d_lost(signs))


def _vanishing(signs: Sequence[Signs]) -> bool:
    is_small = len(signs) > EARLY and signs[-1]["g_gradient"] < early_gradient(signs) * VANISHED
    return is_small and signs[-1]["separation"] > 0.9


def _d_lost(signs: Sequence[Signs]) -> bool:
    return is_warm(signs[-1]) and signs[-1]["separation"] < LOST_SEPARATION


def _oscillating(signs: Sequence[Signs]) -> bool:
    newest = [each["separation"] for each in signs[-OSCILLATION:]]
    turns = sum((a > 0.5) != (b > 0.5) for a, b in pairwise(newest))
    return turns >= 4 and max(newest) - min(newest) > 0.8


def _memorising(signs: Sequence[Signs]) -> bool:
    """D ranks training images well, but held-out images only by chance.

    `memorised` (r_v) is not used: at ADA's target, 0.5, D still recognises real images that it has never seen.
    """
    is_at_chance = signs[-1].get("heldout_separation", 1.0) <= CHANCE
    return is_at_chance and signs[-1]["separation"] > MEMORISED_SEPARATION


def _overflowing(signs: Sequence[Signs]) -> bool:
    return signs[-1].get("loss_scale", LEAST_SCALE) < LEAST_SCALE


def early_gradient(signs: Sequence[Signs]) -> float:
    """Median norm of G's gradient in the first measurements."""
    return median(each["g_gradient"] for each in signs[:EARLY])


RULES = (
    Rule(
        "discriminator-held-down", _held_down, 3,
        lambda signs, since: f"D gives every image the same answer since step {since}: its logits of real and "
        f"generated images spread by {signs[-1]['logit_spread']:.1g}, and its loss is that of guessing, so G learns "
        "nothing. A gradient penalty that is too heavy does that.",
        explains=frozenset(("collapse", "dead-generator", "discriminator-lost", "oscillation")),
    ),
    Rule(
        "discriminator-won", _d_won, 3,
        lambda signs, since: f"D separates real from generated images completely since step {since}: it ranks "
        f"{signs[-1]['separation']:.1%} of pairs correctly, and its loss is {signs[-1]['d_left']:.2g} "
        f"of what guessing costs{_gradient_change(signs)}.",
    ),
    Rule(
        "vanishing-gradient", _vanishing, 3,
        lambda signs, since: f"G learns next to nothing since step {since}: its gradient is "
        f"{early_gradient(signs) / max(signs[-1]['g_gradient'], 1e-30):.0f} times smaller than at first, and D ranks "
        f"{signs[-1]['separation']:.1%} of pairs correctly.",
    ),
    Rule(
        "collapse", _collapsed, 4,
        lambda signs, since: f"the samples are alike since step {since}: two of them differ by "
        f"{signs[-1]['diversity']:.1%} of what two real images do{_twins(signs)}.",
    ),
    Rule(
        "dead-generator", _dead, 2,
        lambda signs, since: f"G is dead since step {since}: its images have {signs[-1]['contrast']:.1%} of the "
        f"contrast of real ones, and its gradient is {signs[-1]['g_gradient']:.2g}.",
    ),
    Rule(
        "discriminator-lost", _d_lost, 4,
        lambda signs, since: f"D takes samples for more real than real images since step {since}: it ranks "
        f"{signs[-1]['separation']:.1%} of pairs correctly, and what it teaches G leads away from the data.",
    ),
    Rule(
        "oscillation", _oscillating, 1,
        lambda signs, since: "G and D chase each other: D ranked between "
        f"{min(each['separation'] for each in signs[-OSCILLATION:]):.0%} and "
        f"{max(each['separation'] for each in signs[-OSCILLATION:]):.0%} of pairs correctly in the last {OSCILLATION} "
        "measurements.",
    ),
    Rule(
        "memorising", _memorising, 5,
        lambda signs, since: f"D knows its training images by heart since step {since}: it tells them from "
        f"generated ones in {signs[-1]['separation']:.0%} of pairs, but held-out ones in "
        f"{signs[-1]['heldout_separation']:.0%}, no better than by chance.",
    ),
    Rule(
        "overflow", _overflowing, 1,
        lambda signs, since: f"gradients overflow in half precision: the loss scale fell to "
        f"{signs[-1]['loss_scale']:.2g} by step {since}, and steps whose gradients are not finite do not count.",
    ),
)  # fmt: skip


def _gradient_change(signs: Sequence[Signs]) -> str:
    change = early_gradient(signs) / max(signs[-1]["g_gradient"], 1e-30)
    return f", while G's gradient fell {change:.0f}-fold" if change > 3 else ""


def _twins(signs: Sequence[Signs]) -> str:
    return f", and {signs[-1]['duplicates']:.0%} have a twin" if "duplicates" in signs[-1] else ""
