"""GANs by name: each file here but ``base`` is one, found by its file name, ``-`` standing for ``_``."""

import importlib
import pkgutil

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


def default_for(spec: Spec) -> str:
    """The recipe that did best on such data in ``benchmarks/quality.py``."""
    return "r3gan" if spec.is_points else "dcgan"
