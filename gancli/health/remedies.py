"""What to change where a GAN fails, as far as a run does not do it already."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Config = Mapping[str, Any]
"""A run's configuration as a table, or an empty one."""
Remedy = str | Callable[[Config], str | None]
"""What to try, with a flag, perhaps as a function of the configuration; None where the run has it already."""


def _hyperparameter(config: Config, name: str, unknown: float) -> float:
    """Its value, ``unknown`` where it is not told or left to the data."""
    table = config.get("hyperparameters")
    found = number_of(table.get(name)) if isinstance(table, Mapping) else math.nan
    return found if found > 0 or (found == 0 and name == "beta1") else unknown


def _lower(*names: str) -> Callable[[Config], str]:
    def remedy(config: Config) -> str:
        return " ".join(
            f"--set {name}={min(5e-5, _hyperparameter(config, name, 1.0) / 4):g}".replace("e-0", "e-") for name in names
        )

    return remedy


def _unless_used(flag: str) -> Callable[[Config], str | None]:
    name, value = flag.removeprefix("--").split()
    return lambda config: None if config.get(name) == value else flag


def _without_momentum(config: Config) -> str | None:
    return None if _hyperparameter(config, "beta1", 0.5) == 0 else "--set beta1=0"


def _more_steps_of_d(config: Config) -> str:
    return f"more steps of D in a recipe of steps in turn (--set d_steps={2 * _hyperparameter(config, 'd_steps', 1):g})"


LOWER_G_RATE, LOWER_D_RATE, LOWER_RATES = _lower("g_lr"), _lower("d_lr"), _lower("g_lr", "d_lr")
R3GAN, WGAN_GP, PACGAN = map(_unless_used, ("--recipe r3gan", "--recipe wgan-gp", "--recipe pacgan"))
ADA, FP32 = _unless_used("--augment ada"), _unless_used("--precision fp32")
NO_MOMENTUM, MORE_STEPS_OF_D = _without_momentum, _more_steps_of_d
DIVERGED_REMEDIES: tuple[Remedy, ...] = (LOWER_RATES, FP32, "another --seed")


def advice(remedies: Sequence[Remedy], config: Config) -> str:
    """A sentence with what the run does not have already, of which there is always something."""
    told = [remedy if isinstance(remedy, str) else remedy(config) for remedy in remedies]
    *others, last = [each for each in told if each]
    return f"Try {', '.join(others)}{', or ' if len(others) > 1 else ' or ' if others else ''}{last}."


def number_of(value: Any) -> float:
    """A value of a line of metrics; NaN where it is no number, or none that could have been measured."""
    try:
        return float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        return math.nan
