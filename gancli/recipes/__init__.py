"""Recipes by name. Each file here except ``base`` is one; ``-`` in a name stands for ``_`` in the file's."""

import importlib
import pkgutil
from dataclasses import fields

from gancli.errors import UsageError, nearest
from gancli.recipes.base import Recipe, Spec

AUTO = "auto"
"""The name that means `default_for`."""


def names() -> list[str]:
    """Names of all recipes; imports none of them."""
    return sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(__path__) if m.name != "base")


def find(name: str) -> type[Recipe]:
    """The recipe of that name, a dataclass of hyperparameters; UsageError for an unknown name."""
    if name not in names():
        raise UsageError(f"there is no recipe {name!r}; {nearest(name, names())}")
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}").RECIPE


def hyperparameters_like(word: str) -> list[str]:
    """Hyperparameters of that name, else those with that word in their names: ``lr`` -> ``d_lr``, ``g_lr``."""
    own = {each.name for name in names() for each in fields(find(name))}
    shared = {each.name for each in fields(Recipe)}
    word = word.replace("-", "_")
    if word in own:
        return [word]
    within = [sorted(name for name in group if word in name.split("_")) for group in (shared, own)]
    return within[0] or within[1]


SMALL_VALUES = 32 * 32
"""Pictures of at most so many values (channels times pixels) get the best recipe on MNIST and digits."""
LARGE_SIDE = 48
"""Colour pictures whose shorter side is at least so many pixels get the best recipe on colour pictures of 64."""


def default_for(spec: Spec, augmented: bool = False) -> str:
    """The default recipe for such data: the best one, given equal time, of those that allow augmented images.

    ``benchmarks/quality.py`` compares recipes on small pictures, ``benchmarks/colour.py`` on large colour pictures. Of
    sizes between, and of large grey pictures, no table says more than that DCGAN is the fastest on a CPU.
    """
    if spec.is_points or spec.channels * spec.height * spec.width <= SMALL_VALUES:
        return "r3gan"
    is_large = spec.channels >= 3 and min(spec.height, spec.width) >= LARGE_SIDE
    return "latent" if is_large and not augmented else "dcgan"
