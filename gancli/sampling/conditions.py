"""Conditions that a person asks for: ``smile=1,age=.3``."""

import logging
import math
import unicodedata
from collections.abc import Mapping, Sequence

from gancli.data.conditions import Conditions, Label
from gancli.errors import UsageError, nearest
from gancli.sampling.generator import LoadedGenerator

log = logging.getLogger(__name__)


def conditions_asked(text: str | Mapping[str, float] | None) -> dict[str, float]:
    """``"smile=1,age=.3"``, or a mapping, as a dictionary; UsageError for anything else."""
    if text is None or isinstance(text, Mapping):
        return {name: _number(name, value) for name, value in (text or {}).items()}
    asked: dict[str, float] = {}
    for part in text.split(","):
        name, is_given, value = (unicodedata.normalize("NFC", each.strip()) for each in part.partition("="))
        if not is_given or not name:
            raise UsageError(f"--condition {text!r}: write NAME=NUMBER, such as smile=1,age=.3.")
        if name in asked:
            raise UsageError(f"--condition {text!r} names {name} twice; leave one of them.")
        asked[name] = _number(name, value)
    return asked


def _number(name: str, value: object) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"--condition {name}={value}: that is not a number.")
    return number


def labels_for(generator: LoadedGenerator, asked: Mapping[str, float], numbers: Sequence[int]) -> list[Label] | None:
    """Standardised conditions of these numbered images; None without any asked for, which draws known rows in turn.

    Conditions that are not named are those of a training picture. Raises UsageError for a name that the generator does
    not have; warns about a value that no training picture had.
    """
    if not asked:
        return None
    known = generator.conditions
    if known is None:
        draws = "draws classes; name them with --classes" if generator.classes else "is unconditional"
        raise UsageError(f"--condition: this generator {draws}; remove --condition.")
    for name, value in asked.items():
        if name not in known.names:
            raise UsageError(f"--condition: the generator has no condition {name!r}; {nearest(name, known.names)}")
        _warn_if_unseen(known, name, value)
    return known.labels(known.rows_of(numbers, asked))


def _warn_if_unseen(known: Conditions, name: str, value: float) -> None:
    least, most = known.ranges[name]
    if not least <= value <= most:
        log.warning(
            "--condition %s=%g: training pictures have %g to %g, so that these images are a guess.",
            name, value, least, most,
        )  # fmt: skip


def in_words(asked: Mapping[str, float]) -> str:
    """``smile=1,age=0.3``, which `conditions_asked` reads back; empty for none."""
    return ",".join(f"{name}={value!r}".removesuffix(".0") for name, value in asked.items())
