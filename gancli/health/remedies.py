"""What to change when a GAN fails, given what the run does already."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Config = Mapping[str, Any]
"""A run's resolved configuration as a table, or an empty one where it is not known."""
Remedy = str | Callable[[Config], str | None]
"""A flag or a phrase to try, perhaps a function of the configuration; None if it would change nothing."""
PENALTY_WEIGHTS = {
    "vanilla": "r1_gamma", "r3gan": "gamma", "latent": "gamma",
    "dragan": "penalty", "wgan-gp": "penalty", "progressive": "penalty",
}  # fmt: skip
"""By recipe, the hyperparameter that weighs its gradient penalty."""
FIRST_GAMMA = 20
"""Weight of R1 that ends the collapse of vanilla on MNIST (benchmarks/vanilla_mnist.py)."""
POINTS = ("ring", "grid")


def _hyperparameter(config: Config, name: str, unknown: float) -> float:
    """Its value; ``unknown`` where it is missing or left to the data."""
    table = config.get("hyperparameters")
    value = number_of(table.get(name)) if isinstance(table, Mapping) else math.nan
    return value if value > 0 or (value == 0 and name == "beta1") else unknown


def _set(name: str, value: float) -> str:
    return f"--set {name}={value:g}".replace("e-0", "e-")


def _lower(*names: str) -> Callable[[Config], str]:
    def remedy(config: Config) -> str:
        return " ".join(_set(name, min(5e-5, _hyperparameter(config, name, 1.0) / 4)) for name in names)

    return remedy


def _unless_used(flag: str) -> Callable[[Config], str | None]:
    name, value = flag.removeprefix("--").split()
    return lambda config: None if config.get(name) == value else flag


def _penalty(factor: float) -> Callable[[Config], str | None]:
    """The recipe's gradient penalty, if it is in use, times a factor."""

    def remedy(config: Config) -> str | None:
        name = PENALTY_WEIGHTS.get(str(config.get("recipe")), "")
        weight = _hyperparameter(config, name, 0.0)
        return _set(name, weight * factor) if weight else None

    return remedy


def _first_penalty(config: Config) -> str | None:
    """R1 where the recipe has it and the run does not use it; for pictures, where its weight is known."""
    is_unused = config.get("recipe") == "vanilla" and not _hyperparameter(config, "r1_gamma", 0.0)
    return _set("r1_gamma", FIRST_GAMMA) if is_unused and config.get("data") not in POINTS else None


def _without_momentum(config: Config) -> str | None:
    return None if _hyperparameter(config, "beta1", 0.5) == 0 else "--set beta1=0"


def _more_steps_of_d(config: Config) -> str | None:
    """Not for vanilla, whose two networks step at once."""
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


LOWER_G_RATE, LOWER_D_RATE, LOWER_RATES = _lower("g_lr"), _lower("d_lr"), _lower("g_lr", "d_lr")
R3GAN, WGAN_GP, PACGAN = map(_unless_used, ("--recipe r3gan", "--recipe wgan-gp", "--recipe pacgan"))
ADA, FP32 = _unless_used("--augment ada"), _unless_used("--precision fp32")
FIRST_PENALTY, NON_SATURATING, NO_MOMENTUM = _first_penalty, _non_saturating, _without_momentum
MORE_PENALTY, LESS_PENALTY = _penalty(4), _penalty(0.01)
MORE_STEPS_OF_D, LARGER_BATCH, OTHER_SEED = _more_steps_of_d, _larger_batch, _other_seed
DIVERGED_REMEDIES: tuple[Remedy, ...] = (LOWER_RATES, FP32, OTHER_SEED)


def advice(remedies: Sequence[Remedy], config: Config) -> str:
    """A sentence with the remedies that would change something, of which there is always one."""
    useful = [remedy if isinstance(remedy, str) else remedy(config) for remedy in remedies]
    *others, last = [each for each in useful if each]
    return f"Try {', '.join(others)}{', or ' if len(others) > 1 else ' or ' if others else ''}{last}."


def number_of(value: Any) -> float:
    """A value from a line of metrics or a configuration as a float; NaN if it is no number or too large for one."""
    try:
        return float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        return math.nan
