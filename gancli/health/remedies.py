"""Advice for a failing GAN, adapted to the run's settings, with the success rate of each remedy."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gancli.health.trials import TRIALS, Trials

Config = Mapping[str, Any]
"""A run's resolved configuration as a table; empty if it is unknown."""
Flag = Callable[[Config], str | None]
"""Returns the flag or phrase to try for a run; None if it would change nothing there."""


@dataclass(frozen=True)
class Remedy:
    """One thing to change."""

    name: str
    """Name in `TRIALS`, the same for every run."""
    flag: Flag


DIVERGED = "diverged"
"""Name of the failure in which a loss or weight is not finite."""
PENALTY_WEIGHTS = {
    "vanilla": "r1_gamma", "r3gan": "gamma", "latent": "gamma", "ddgan": "gamma",
    "stylegan2": "gamma", "dragan": "penalty", "wgan-gp": "penalty", "progressive": "penalty",
}  # fmt: skip
"""By recipe, the hyperparameter that is the weight of its gradient penalty."""
STYLE_GAMMA = 3
"""Weight of R1 in a healthy run of stylegan2 on digits, whose own is .0004 there (docs/health.md)."""
FIRST_GAMMA = 20
"""Weight of R1 that ends the collapse of vanilla on MNIST (benchmarks/vanilla_mnist.py)."""
POINTS = ("ring", "grid")


def _hyperparameter(config: Config, name: str, unknown: float) -> float:
    """The value of a hyperparameter; ``unknown`` if it is missing or chosen from the data."""
    table = config.get("hyperparameters")
    value = number_of(table.get(name)) if isinstance(table, Mapping) else math.nan
    return value if value > 0 or (value == 0 and name == "beta1") else unknown


def _set(name: str, value: float) -> str:
    return f"--set {name}={value:g}".replace("e-0", "e-")


def _lower(*names: str) -> Flag:
    def remedy(config: Config) -> str:
        return " ".join(_set(name, min(5e-5, _hyperparameter(config, name, 1.0) / 4)) for name in names)

    return remedy


def _unless_used(flag: str) -> Flag:
    name, value = flag.removeprefix("--").split()
    return lambda config: None if config.get(name) == value else flag


def _penalty(factor: float) -> Flag:
    """Multiply the weight of the recipe's gradient penalty, if it is in use."""

    def remedy(config: Config) -> str | None:
        name = PENALTY_WEIGHTS.get(str(config.get("recipe")), "")
        weight = _hyperparameter(config, name, 0.0)
        return _set(name, weight * factor) if weight else None

    return remedy


def _first_penalty(config: Config) -> str | None:
    """Use R1 if the recipe has it and the run does not. Only for pictures: no good weight is known for points."""
    is_unused = config.get("recipe") == "vanilla" and not _hyperparameter(config, "r1_gamma", 0.0)
    return _set("r1_gamma", FIRST_GAMMA) if is_unused and config.get("data") not in POINTS else None


def _style_penalty(config: Config) -> str | None:
    """The weight of R1 that stylegan2 was healthy with, unless the run's is as large."""
    is_smaller = config.get("recipe") == "stylegan2" and _hyperparameter(config, "gamma", 0.0) < STYLE_GAMMA
    return _set("gamma", STYLE_GAMMA) if is_smaller else None


def _without_momentum(config: Config) -> str | None:
    return None if _hyperparameter(config, "beta1", 0.5) == 0 else "--set beta1=0"


def _more_steps_of_d(config: Config) -> str | None:
    """Double the steps of D; None for vanilla, whose two networks step at the same time."""
    return None if config.get("recipe") == "vanilla" else _set("d_steps", 2 * _hyperparameter(config, "d_steps", 1))


def _non_saturating(config: Config) -> str | None:
    table = config.get("hyperparameters")
    is_minimax = isinstance(table, Mapping) and table.get("objective") == "minimax"
    return "--set objective=non-saturating" if is_minimax else None


def _larger_batch(config: Config) -> str:
    size = number_of(config.get("batch_size"))
    return f"--batch-size {2 * int(size)}" if size > 0 else "a larger --batch-size"


def _other_seed(config: Config) -> str:
    seed = number_of(config.get("seed"))
    return f"--seed {int(seed) + 1}" if seed >= 0 else "another --seed"


LOWER_RATES = Remedy("lower rates", _lower("g_lr", "d_lr"))
LOWER_G_RATE, LOWER_D_RATE = Remedy("lower g_lr", _lower("g_lr")), Remedy("lower d_lr", _lower("d_lr"))
FIRST_PENALTY, MORE_PENALTY = Remedy("R1", _first_penalty), Remedy("penalty x4", _penalty(4))
LESS_PENALTY = Remedy("penalty / 100", _penalty(0.01))
R3GAN, ADA = Remedy("r3gan", _unless_used("--recipe r3gan")), Remedy("ada", _unless_used("--augment ada"))
OTHER_SEED, FP32 = Remedy("other seed", _other_seed), Remedy("fp32", _unless_used("--precision fp32"))
REMEDIES: Mapping[str, tuple[Remedy, ...]] = {
    "discriminator-held-down": (LESS_PENALTY, LOWER_D_RATE),
    "discriminator-won": (FIRST_PENALTY, MORE_PENALTY, R3GAN, LOWER_D_RATE),
    "vanishing-gradient": (
        Remedy("non-saturating", _non_saturating),
        R3GAN,
        Remedy("wgan-gp", _unless_used("--recipe wgan-gp")),
        LOWER_D_RATE,
    ),
    "collapse": (
        FIRST_PENALTY,
        Remedy("stylegan2's R1", _style_penalty),
        R3GAN,
        Remedy("pacgan", _unless_used("--recipe pacgan")),
        LOWER_G_RATE,
        Remedy("larger batch", _larger_batch),
    ),
    "dead-generator": (LOWER_RATES, OTHER_SEED),
    "discriminator-lost": (LOWER_G_RATE, Remedy("more steps of D", _more_steps_of_d)),
    "oscillation": (LOWER_RATES, Remedy("no momentum", _without_momentum), R3GAN),
    "memorising": (
        ADA,
        Remedy("more pictures", lambda config: "more pictures"),
        Remedy("transfer", lambda config: "--init-from a run on similar ones with --freeze-d"),
    ),
    "overflow": (Remedy("bf16", lambda config: "--precision bf16"), FP32),
    DIVERGED: (LOWER_RATES, FP32, OTHER_SEED),
}
"""By failure, its remedies, the most promising first."""


def advice(failure: str, config: Config) -> str:
    """A sentence with the remedies that would change something; every failure has at least one.

    Remedies that were tried and never helped are left out, unless there are no others.
    """
    trials = TRIALS.get(failure, {})
    flags = [(remedy.name, flag) for remedy in REMEDIES[failure] if (flag := remedy.flag(config))]
    helpful = [(name, flag) for name, flag in flags if name not in trials or trials[name].helped]
    *others, last = [f"{flag} ({_rate(trials.get(name))})" for name, flag in helpful or flags]
    return f"Try {', '.join(others)}{', or ' if len(others) > 1 else ' or ' if others else ''}{last}."


def _rate(trials: Trials | None) -> str:
    return f"helped in {trials.helped} of {trials.runs} runs" if trials else "untried"


def number_of(value: Any) -> float:
    """Convert a value of a metrics line or a configuration to float; NaN if it is no number or too large."""
    try:
        return float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        return math.nan
