"""GANs by name: each file here but ``base`` is one, found by its file name, ``-`` standing for ``_``."""

import importlib
import pkgutil
from dataclasses import fields

from gancli.errors import UsageError, nearest
from gancli.recipes.base import Recipe, Spec

AUTO = "auto"
"""Name that stands for the recipe that `default_for` gives."""


def names() -> list[str]:
    """Names of all recipes; imports none of them."""
    return sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(__path__) if m.name != "base")


def find(name: str) -> type[Recipe]:
    """The recipe of that name, as the dataclass of its hyperparameters; UsageError for an unknown name."""
    if name not in names():
        raise UsageError(f"there is no recipe {name!r}; {nearest(name, names())}")
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}").RECIPE


def hyperparameters_like(word: str) -> list[str]:
    """Hyperparameters of that name, or with that word in their name: ``lr`` -> ``d_lr`` and ``g_lr``."""
    own = {each.name for name in names() for each in fields(find(name))}
    shared = {each.name for each in fields(Recipe)}
    word = word.replace("-", "_")
    if word in own:
        return [word]
    within = [sorted(name for name in group if word in name.split("_")) for group in (shared, own)]
    return within[0] or within[1]


SMALL_VALUES = 32 * 32
"""Values of a picture (channels times pixels) up to which the winner on MNIST and digits is the default."""


def default_for(spec: Spec) -> str:
    """The recipe for such data unless the user names one: what did best in ``benchmarks/quality.py`` in the same time.

    Larger pictures were not compared there; DCGAN is the one that a CPU trains on them in bearable time.
    """
    values = spec.channels * spec.height * spec.width
    return "r3gan" if spec.is_points or values <= SMALL_VALUES else "dcgan"
