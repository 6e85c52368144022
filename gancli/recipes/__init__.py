"""GANs by name: each file here but ``base`` is one, found by its file name."""

import importlib
import pkgutil

from gancli.errors import UsageError, nearest
from gancli.recipes.base import Recipe


def names() -> list[str]:
    """Names of all recipes; imports none of them."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "base")


def find(name: str) -> type[Recipe]:
    """The recipe of that name, as the dataclass of its hyperparameters; UsageError for an unknown name."""
    if name not in names():
        raise UsageError(f"there is no recipe {name!r}; {nearest(name, names())}")
    return importlib.import_module(f"{__name__}.{name}").RECIPE
